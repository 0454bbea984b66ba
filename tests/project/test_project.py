"""What holds for every project, whatever models it has."""

import importlib
import subprocess
import sys
from pathlib import Path

import dagster as dg
import yaml

from assets.definitions import defs
from penstock.contract.registry import read_contracts
from penstock.declare.discovery import declared
from penstock.project import containing

PROJECT = containing(Path(__file__))


def test_every_file_imports() -> None:
    assert read_contracts(PROJECT).broken == ()
    assert declared(PROJECT).broken == ()


def test_every_contract_has_a_model_that_is_trained_for_it_and_every_model_a_contract() -> None:
    assert set(read_contracts(PROJECT).by_model) == set(declared(PROJECT).models)


def test_every_table_that_a_lookup_needs_is_replicated() -> None:
    contracts = read_contracts(PROJECT).by_model.values()
    needed = {lookup.table for contract in contracts for lookup in contract.lookups}
    assert needed <= set(declared(PROJECT).tables)


def test_the_graph_is_one_that_dagster_loads() -> None:
    assert defs.get_repository_def().job_names
    assert dg.AssetKey(["maintenance", "retention"]) in {spec.key for spec in defs.resolve_all_asset_specs()}


def test_contracts_need_nothing_but_the_bare_engine() -> None:
    program = (
        "import sys; from penstock.contract.registry import read_contracts; read_contracts();"
        "print([name for name in ('pandas', 'sklearn', 'dagster', 'ray', 'sqlalchemy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=PROJECT.root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_service_runs_an_application_that_is_there() -> None:
    config = yaml.safe_load(PROJECT.serve_config.read_text())
    for application in config["applications"]:
        module, _, name = application["import_path"].partition(":")
        assert callable(getattr(importlib.import_module(module), name))
    assert config["applications"]
