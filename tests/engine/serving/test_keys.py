"""API keys follow their file, without a restart."""

import hashlib
import logging
import uuid
from pathlib import Path

import httpx
import pytest

from penstock.serving.http.exchange import HttpRequest
from penstock.serving.http.problems import Problem
from penstock.serving.routes import keys
from penstock.serving.routes.key_file import SCOPES, read_key
from penstock.serving.routes.keys import Keys, reached_at
from penstock.settings import SettingError
from penstock.testing import wait_for
from tests.engine.serving.conftest import Start

OLD, NEW = "old-key", "new-key"


def digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def line(key: str) -> str:
    return f"{digest(key)}  a note\n"


@pytest.fixture
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "LOOK_SECONDS", 0.1)


@pytest.mark.usefixtures("looks_often")
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


@pytest.mark.usefixtures("looks_often")
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
        Keys(str(file), "127.0.0.1")
    assert f"{file}, line 3: expected the SHA-256 of a key in hex" in caplog.text
    assert OLD not in caplog.text


def test_a_file_that_is_not_there_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"PENSTOCK_API_KEYS_FILE=.*expected a file of SHA-256 digests"):
        Keys(str(tmp_path / "none"), "127.0.0.1")


def test_a_replica_on_a_node_that_others_reach_demands_keys_whatever_the_host_says() -> None:
    assert reached_at("localhost", "127.0.0.1") == "localhost"
    Keys("", reached_at("localhost", "127.0.0.1"))
    with pytest.raises(SettingError, match=r"a file of API keys, since 10\.0\.0\.7 can be reached from elsewhere"):
        Keys("", reached_at("127.0.0.1", "10.0.0.7"))
    with pytest.raises(SettingError, match=r"since 0\.0\.0\.0 can be reached from elsewhere"):
        Keys("", reached_at("0.0.0.0", "10.0.0.7"))


def test_a_replica_on_loopback_demands_keys_where_the_service_listens_beyond_it() -> None:
    assert reached_at("localhost", "127.0.0.1", "127.0.0.1") == "localhost"
    with pytest.raises(SettingError, match=r"a file of API keys, since 0\.0\.0\.0 can be reached from elsewhere"):
        Keys("", reached_at("127.0.0.1", "127.0.0.1", "0.0.0.0"))


def test_a_key_may_ask_what_its_scopes_say_and_is_named_where_it_may_not(start: Start, tmp_path: Path) -> None:
    scopes = {"all": "", "asks": "scopes=predict", "reads": "scopes=journal", "watches": "scopes=metrics"}
    file = tmp_path / "keys"
    file.write_text("".join(f"{digest(key)} name={key} {scope}\n" for key, scope in scopes.items()))
    service = start(api_keys_file=str(file))
    routes = {
        "asks": ("POST", "/models/overflow/predict"),
        "asks too": ("POST", "/v2/models/overflow/infer"),
        "reads": ("GET", "/models/overflow/predictions"),
        "reads too": ("GET", f"/models/overflow/predictions/{uuid.uuid4()}"),
        "watches": ("GET", "/metrics"),
        "watches too": ("GET", "/state"),
    }
    for needed, (method, path) in routes.items():
        for key in scopes:
            answer = service.http.request(method, path, headers={"x-api-key": key}, json={})
            refused = answer.status_code == 403
            assert refused == (key not in ("all", needed.removesuffix(" too"))), (key, path, answer.text)
            assert not refused or f"API key {key}: expected the scope " in answer.text
    assert all(service.http.get("/models", headers={"x-api-key": key}).status_code == 200 for key in (*scopes,))
    assert len(scopes) == 4


def test_a_key_that_asks_too_often_gets_429_with_when_to_come_again_and_the_others_do_not(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"{digest('slow')} name=batch rate=2\n{digest('rare')} rate=0.1\n{line('free')}")
    now = [100.0]
    keys = Keys(str(file), "127.0.0.1", clock=lambda: now[0])

    def retry_after(key: str, path: str = "/models") -> str:
        scope = {"method": "GET", "path": path, "headers": [(b"x-api-key", key.encode())]}
        try:
            keys.check(HttpRequest(scope, receive=lambda: None))  # type: ignore[arg-type,return-value]
        except Problem as problem:
            return dict(problem.headers)[b"retry-after"].decode() if problem.status == 429 else str(problem.status)
        return ""

    assert [retry_after("slow") for _ in range(3)] == ["", "", "1"]
    assert [retry_after("rare") for _ in range(2)] == ["", "10"]
    assert [retry_after("free") for _ in range(50)] == [""] * 50
    assert retry_after("slow", "/healthz") == ""
    now[0] += 0.5
    assert [retry_after("slow") for _ in range(2)] == ["", "1"]
    file.write_text(f"{digest('slow')} name=batch rate=2\n# changed")
    now[0] += 0.1
    assert retry_after("slow") == "1", "a file that is read again lets nobody ask more"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("scopes=predict,all", "expected scopes among predict, journal, metrics, found 'all'"),
        ("rate=0", "expected a rate of more than 0 requests a second, found '0'"),
        ("rate=fast", "expected a rate of more than 0 requests a second, found 'fast'"),
    ],
)
def test_a_line_of_wrong_words_lets_nobody_in(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, words: str, said: str
) -> None:
    file = tmp_path / "keys"
    file.write_text(f"{digest(OLD)} {words}\n")
    with caplog.at_level(logging.ERROR):
        Keys(str(file), "127.0.0.1")
    assert f"{file}, line 1: {said}; nobody gets in by this line" in caplog.text


def test_a_line_of_before_has_all_scopes_and_no_limit() -> None:
    key = read_key(line(OLD).strip())
    assert (key.scopes, key.rate, key.name) == (frozenset(SCOPES), float("inf"), "")
    assert len(SCOPES) == 3
