"""API keys follow their file, without a restart."""

import hashlib
import logging
from pathlib import Path

import httpx
import pytest

from penstock.serving.routes.keys import Keys, reached_at
from penstock.settings import SettingError, Settings
from penstock.testing import wait_for
from tests.engine.serving.conftest import Start

OLD, NEW = "old-key", "new-key"


def line(key: str) -> str:
    return f"{hashlib.sha256(key.encode()).hexdigest()}  a note\n"


def test_a_rotated_key_is_valid_and_a_removed_one_is_not_while_the_replica_runs(start: Start, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(line(OLD))
    service = start(api_keys_file=str(file))

    def status(key: str) -> int:
        return service.http.get("/models", headers={"x-api-key": key}).status_code

    assert (status(OLD), status(NEW)) == (200, 401)
    file.write_text(line(OLD) + line(NEW))
    wait_for(lambda: status(NEW) == 200, 5)
    assert status(OLD) == 200
    file.write_text(line(NEW))
    wait_for(lambda: status(OLD) == 401, 5)
    assert status(NEW) == 200


def test_where_the_file_is_away_the_last_keys_stay_valid(
    start: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "keys"
    file.write_text(line(OLD))
    service = start(api_keys_file=str(file))
    service.http.headers["x-api-key"] = OLD
    file.unlink()

    def said() -> bool:
        assert service.http.get("/models").status_code == 200
        return "the keys that were read last stay valid" in caplog.text

    wait_for(said, 5)
    file.write_text(line(NEW))
    wait_for(lambda: service.http.get("/models").status_code == 401, 5)
    assert httpx.get(f"{service.http.base_url}/models", headers={"x-api-key": NEW}).status_code == 200


def test_a_line_that_is_no_digest_is_named_and_lets_nobody_in(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "keys"
    file.write_text(f"# ours\n\n{OLD}\n{line(NEW)}")
    with caplog.at_level(logging.ERROR):
        Keys(Settings(home=tmp_path, api_keys_file=str(file)))
    assert f"{file}, line 3: expected the SHA-256 of a key in hex" in caplog.text
    assert OLD not in caplog.text


def test_a_file_that_is_not_there_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"PENSTOCK_API_KEYS_FILE=.*expected a file of SHA-256 digests"):
        Keys(Settings(home=tmp_path, api_keys_file=str(tmp_path / "none")))


def test_a_replica_on_a_node_that_others_reach_demands_keys_whatever_the_host_says(tmp_path: Path) -> None:
    at_home = Settings(home=tmp_path)
    assert reached_at(at_home, "127.0.0.1") == at_home
    Keys(reached_at(at_home, "127.0.0.1"))
    with pytest.raises(SettingError, match=r"a file of API keys, since 10\.0\.0\.7 can be reached from elsewhere"):
        Keys(reached_at(at_home, "10.0.0.7"))
    with pytest.raises(SettingError, match=r"since 0\.0\.0\.0 can be reached from elsewhere"):
        Keys(reached_at(Settings(home=tmp_path, http_host="0.0.0.0"), "10.0.0.7"))
