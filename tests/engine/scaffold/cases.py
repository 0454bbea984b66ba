"""`penstock new` in an empty project with one table, `cases`."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click.testing
import duckdb
import pytest

from penstock.scaffold.new_command import new
from penstock.scaffold.templates import render

New = Callable[..., click.testing.Result]
PROJECT = render("pyproject.toml.jinja", project={"name": "shop", "seed": ""})
BASE = "i AS id, TIMESTAMP '2026-06-01' + INTERVAL (i * 2) HOUR AS asked, i % 3 = 0 AS y"
ROWS = ("--from", "cases", "--outcome", "y", "--key", "id", "--asked-at", "asked")


def new_model_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> New:
    """`penstock new m` in an empty project, whose DuckDB has the table `cases`: BASE, and `columns` beside it."""
    (folder / "shop").mkdir()
    (folder / "shop" / "pyproject.toml").write_text(PROJECT)
    monkeypatch.chdir(folder / "shop")
    for name in ("PENSTOCK_PROJECT", "PENSTOCK_HOME", "PENSTOCK_WAREHOUSE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PENSTOCK_NOW", "2026-11-25T12:00:00Z")
    Path(".penstock").mkdir()

    def made(columns: str = "i % 7 AS n", *options: str, script: str = "") -> click.testing.Result:
        with duckdb.connect(".penstock/warehouse.duckdb") as warehouse:
            warehouse.execute(f"CREATE TABLE cases AS SELECT {BASE}, {columns} FROM range(1500) t(i)")
            warehouse.execute(script or "SELECT 1")
        done = click.testing.CliRunner().invoke(new, ["m", *(options or ROWS)])
        print(done.output, done.exception)
        if done.exit_code == 0:
            demand_what_check_demands()
        return done

    return made


def demand_what_check_demands() -> None:
    """What was written is laid out as the formatter would, and has no undefined name."""
    for command in (["format", "--check"], ["check"]):
        ruff = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "."], capture_output=True, text=True, check=False
        )
        assert ruff.returncode == 0, ruff.stdout + ruff.stderr
