"""What a dbt project makes is replicated by name, with its descriptions, and stands in Dagster's graph as dbt's own.

`dbt_tanks/target/manifest.json` is what `dbt build` of dbt-core 1.11 with dbt-duckdb wrote, without what nobody reads.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from penstock.declare.dbt import DbtProject
from penstock.declare.preparation import Preparation
from penstock.declare.project import Declarations
from penstock.errors import PenstockError
from penstock.graph.dbt import of_dbt
from penstock.graph.environment import Environment
from penstock.graph.warehouse import prepared
from tests.checkout import ROOT
from tests.engine.projects import write_project

TANKS = ROOT / "tests" / "engine" / "graph" / "dbt_tanks"
DBT = DbtProject(TANKS / "target" / "manifest.json")
READINGS = "CREATE TABLE readings AS SELECT 't' || (i % 5) AS tank, i * 0.5::DOUBLE AS inflow FROM range(40) r(i)"
DECLARATIONS = f"""
from pathlib import Path
from penstock.declare.dbt import DbtProject
from penstock.declare.preparation import Preparation

DBT = DbtProject(Path({str(TANKS)!r}) / "target/manifest.json")
TABLES = (DBT.table("tank_totals", key=("tank",)), DBT.table("tank_ranks", key=("tank",), cron="5 * * * *"))
PREPARATIONS = (Preparation("best", query="SELECT max(inflow) AS best FROM tank_totals", reads=("dbt/tank_totals",)),)
"""


def test_a_table_is_replicated_by_the_name_of_its_model_with_what_dbt_says_of_it() -> None:
    table = DBT.table("tank_ranks", key=("tank",))
    assert (table.name, table.query) == ("tank_ranks", 'SELECT * FROM "w"."main_mart"."tank_ranks"')
    assert table.description == "Tanks in the order of their inflow."
    assert table.columns == {"tank": "The tank's name."}
    assert table.after == ("dbt/mart/tank_ranks",)
    assert DBT.table("tank_ranks", key=("tank",), name="ranks", columns={}).name == "ranks"


def test_what_is_no_model_and_what_is_no_manifest_is_said(tmp_path: Path) -> None:
    with pytest.raises(PenstockError, match=r"dbt model 'tank_total'.*Did you mean .?tank_totals"):
        DBT.table("tank_total", key=("tank",))
    with pytest.raises(PenstockError, match=r"found none\. Run `dbt parse`"):
        DbtProject(tmp_path / "manifest.json").table("x", key=("y",))
    (tmp_path / "manifest.json").write_text('{"nodes": []}')
    with pytest.raises(PenstockError, match=r"manifest of dbt at .* Expected `object`"):
        DbtProject(tmp_path / "manifest.json").table("x", key=("y",))


@pytest.mark.slow
def test_the_graph_shows_what_dbt_makes_by_the_keys_of_dagster_dbt(tmp_path: Path) -> None:
    root = write_project(tmp_path / "p", {"assets/tanks.py": DECLARATIONS})
    (tmp_path / "script.py").write_text(
        "import sys\nfrom pathlib import Path\nfrom penstock.declare.discovery import declared\n"
        "from penstock.graph.definitions import definitions_of\n"
        "graph = definitions_of(Path.cwd(), declared().whole()).resolve_asset_graph()\n"
        "for key in sorted(graph.get_all_asset_keys()):\n"
        "    node = graph.get(key)\n"
        "    print(key.to_user_string(), sorted(one.to_user_string() for one in node.parent_keys),"
        " node.is_materializable, node.description)\n"
    )
    told = subprocess.run(
        [sys.executable, str(tmp_path / "script.py")],
        cwd=root,
        env={**os.environ, "PENSTOCK_PROJECT": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    lines = told.stdout.splitlines()
    assert "plant/readings [] False What the gauges of the tanks read." in lines
    assert "tank_totals ['plant/readings'] False Inflow of each tank so far." in lines
    assert "mart/tank_ranks ['tank_totals'] False Tanks in the order of their inflow." in lines
    (snapshot,) = (line for line in lines if line.startswith("snapshot/tank_ranks "))
    assert snapshot.startswith("snapshot/tank_ranks ['mart/tank_ranks'] True Tanks in the order of their inflow.")
    (best,) = (line for line in lines if line.startswith("prepared/best "))
    assert best.startswith("prepared/best ['tank_totals'] True")


def test_what_no_manifest_has_is_named() -> None:
    table = replace(DBT.table("tank_ranks", key=("tank",)), after=("dbt/tank_ranks",))
    with pytest.raises(PenstockError, match=r"expected an asset of a manifest, found 'dbt/tank_ranks'"):
        Declarations(tables={"tank_ranks": table}, dbt=(DBT,)).whole()


def test_a_snapshot_shows_the_descriptions_of_its_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from penstock.graph.replication import snapshot

    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path))
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as warehouse:
        warehouse.execute("CREATE TABLE totals AS SELECT 't1' AS tank, 2.5::DOUBLE AS inflow")
    table = DBT.table("tank_totals", key=("tank",), query="SELECT * FROM totals")
    done = dg.materialize([snapshot(table)], resources={"environment": Environment()})
    (made,) = done.get_asset_materialization_events()
    schema = made.materialization.metadata["dagster/column_schema"].value
    assert isinstance(schema, dg.TableSchema)
    told = {column.name: (column.type, column.description) for column in schema.columns}
    assert str(told["tank"][1]).startswith("The tank's name, as painted on it.")
    assert told["inflow"] == ("double precision", "Cubic metres since the first reading.")


def test_dagster_runs_the_models_where_that_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("dagster_dbt")
    folder = tmp_path / "tanks"
    shutil.copytree(TANKS, folder)
    monkeypatch.setenv("TANKS", str(tmp_path / "w.duckdb"))
    monkeypatch.setenv("PENSTOCK_WAREHOUSE_URL", f"duckdb:///{tmp_path / 'w.duckdb'}")
    with duckdb.connect(str(tmp_path / "w.duckdb")) as warehouse:
        warehouse.execute(READINGS)
    subprocess.run(
        [str(Path(sys.executable).parent / "dbt"), "parse", "--profiles-dir", "."],
        cwd=folder,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    project = DbtProject(folder / "target" / "manifest.json", run=True)
    best = Preparation("best", query="SELECT max(place) AS n FROM main_mart.tank_ranks", reads=("dbt/mart/tank_ranks",))
    assets = [*of_dbt(project, best.reads), prepared(best)]
    done = dg.materialize(assets, resources={"environment": Environment()})
    assert done.success
    made = ["/".join(event.asset_key.path) for event in done.get_asset_materialization_events() if event.asset_key]
    assert made == ["tank_totals", "mart/tank_ranks", "prepared/best"]
    checks = {one.check_name: one.passed for one in done.get_asset_check_evaluations()}
    assert checks == {"not_null_tank_totals_tank": True, "unique_tank_totals_tank": True}
    with duckdb.connect(str(tmp_path / "w.duckdb")) as warehouse:
        assert warehouse.execute("SELECT n FROM prepared.best").fetchall() == [(5,)]


def test_running_without_dagster_dbt_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dagster_dbt", None)
    with pytest.raises(PenstockError, match=r"pip install 'penstock\[dbt\]'"):
        of_dbt(replace(DBT, run=True), ["dbt/tank_totals"])
