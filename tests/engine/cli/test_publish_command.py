"""`penstock publish`: from the warehouse into both books, and a group always as a whole."""

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner

from penstock.cli.commands.publish import publish
from penstock.declare import discovery as declarations
from penstock.declare.project import Declarations
from penstock.testing import System
from tests.engine.publishing import declared


def test_a_table_is_published_with_those_of_its_group(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    nine = [{"key": key} for key in range(9)]
    system.write_tables({"orders": nine, "lines": nine, "shops": nine})
    tables = {
        name: replace(declared(name, group=group), query=f"SELECT * FROM {name}")
        for name, group in (("orders", "sales"), ("shops", ""), ("lines", "sales"))
    }
    monkeypatch.setattr(declarations, "declared", lambda _=None: Declarations(tables=tables))

    done = CliRunner().invoke(publish, ["lines", "--json"], catch_exceptions=False)
    published = [(one["book"], one["table"], one["rows"]) for one in json.loads(done.stdout)]
    assert published == [(name, table, 9) for name in ("test", "prod") for table in ("lines", "orders")]
    done = CliRunner().invoke(publish, ["--all", "--test-only", "--json"], catch_exceptions=False)
    published = [(one["book"], one["table"], one["skipped"]) for one in json.loads(done.stdout)]
    assert published == [("test", "lines", True), ("test", "orders", True), ("test", "shops", False)]


def test_a_plan_names_every_table_and_publishes_none(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    system.write_tables({"orders": [{"key": key} for key in range(9)]})
    tables = {"orders": replace(declared("orders"), query="SELECT * FROM orders")}
    monkeypatch.setattr(declarations, "declared", lambda _=None: Declarations(tables=tables))

    planned = json.loads(CliRunner().invoke(publish, ["--plan", "--json"], catch_exceptions=False).stdout)
    assert [(one["table"], one["action"], one["rows"]) for one in planned] == [("orders", "full", 9)]
    shown = CliRunner().invoke(publish, ["--plan", "orders"], catch_exceptions=False, env={"COLUMNS": "200"}).stdout
    assert "no snapshot with rows yet" in shown
    assert system.snapshots.latest("orders") is None
