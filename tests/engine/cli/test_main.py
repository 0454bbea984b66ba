import errno
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import click
import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from penstock.cli import main
from penstock.errors import PenstockError
from tests.checkout import ROOT


@pytest.fixture
def command_that(monkeypatch: pytest.MonkeyPatch) -> Callable[[Exception], None]:
    """Runs `penstock` with a command that raises."""

    def run(error: Exception) -> None:
        @click.command()
        def failing() -> None:
            raise error

        monkeypatch.setattr(main.Commands, "get_command", lambda *_: failing)
        monkeypatch.setattr(sys, "argv", ["penstock", "failing"])
        main.main()

    return run


def test_help_lists_the_commands_in_the_order_a_newcomer_meets_them() -> None:
    shown = CliRunner().invoke(main.penstock, ["--help"]).output
    assert 0 < shown.index("  up ") < shown.index("  down ") < shown.index("  publish ")


def test_help_is_fast_because_no_command_is_loaded() -> None:
    code = (
        "import sys; from penstock.cli.main import penstock;"
        "penstock(['--help'], standalone_mode=False); print(*sys.modules)"
    )
    started = time.monotonic()
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert time.monotonic() - started < 5
    assert not {"dagster", "ray", "pandas", "sqlalchemy", "penstock.cli.commands.up"} & set(shown.split())


def test_an_unknown_command_is_refused() -> None:
    assert CliRunner().invoke(main.penstock, ["upp"]).exit_code == 2


def test_a_refusal_is_one_message_on_stderr_without_traceback(
    command_that: Callable[[Exception], None], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        command_that(PenstockError("table 'x'", expected="one of y", found="'x'", todo="Look at `penstock status`."))
    assert ended.value.code == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "penstock: table 'x': expected one of y, found 'x'. Look at `penstock status`.\n"


def test_an_absent_database_is_a_refusal_too(
    command_that: Callable[[Exception], None], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(sa.exc.OperationalError) as refused:
        sa.create_engine("postgresql+psycopg://postgres@/x?host=/nowhere").connect()
    with pytest.raises(SystemExit):
        command_that(refused.value)
    assert capsys.readouterr().err.startswith("penstock: Postgres: ")


def test_a_full_disk_is_a_refusal_that_names_the_file(
    command_that: Callable[[Exception], None], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        command_that(OSError(errno.ENOSPC, "No space left on device", "/x/y"))
    assert capsys.readouterr().err == "penstock: /x/y: No space left on device. See `penstock doctor`.\n"


def test_a_bug_is_one_sentence_and_its_traceback_is_in_the_log(
    command_that: Callable[[Exception], None],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path))
    with pytest.raises(SystemExit):
        command_that(ZeroDivisionError("by zero"))
    log = tmp_path / "logs" / "penstock.log"
    assert capsys.readouterr().err == f"penstock: ZeroDivisionError: by zero. {log} says where.\n"
    assert "Traceback" in log.read_text()
    monkeypatch.setenv("PENSTOCK_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        command_that(ZeroDivisionError("by zero"))
