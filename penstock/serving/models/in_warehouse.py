"""The models of the dev book over the project's warehouse. Loaded only there: it brings what reads a warehouse."""

from collections.abc import Mapping
from dataclasses import replace

import msgspec

from penstock.contract.contract import Contract
from penstock.declare.discovery import declared
from penstock.lookups.in_warehouse import WarehouseLookups
from penstock.lookups.sql import tables_of
from penstock.lookups.statement import LookupResult
from penstock.serving.answering.decoding import Requests
from penstock.serving.models.connections import Connections
from penstock.serving.models.direct_model import DirectModel, LookUp
from penstock.serving.models.served_model import ServedModel
from penstock.settings import Settings
from penstock.warehouse.duckdb_file import DuckDBWarehouse
from penstock.warehouse.opening import open_warehouse

QUERY_SECONDS = 30.0
"""A request waits no longer for the warehouse."""


def direct_models(
    settings: Settings, contracts: Mapping[str, Contract], connections: Connections
) -> dict[str, ServedModel]:
    """A model for each contract; `connections` are to no book. Declarations are read when a model is first asked."""
    limited = msgspec.structs.replace(settings, warehouse_timeout=QUERY_SECONDS)
    return {
        name: DirectModel(contract, connections, _look_up(limited, contract), settings.now)
        for name, contract in contracts.items()
    }


def _look_up(settings: Settings, contract: Contract) -> LookUp:
    made: list[WarehouseLookups] = []

    def look_up(requests: Requests) -> LookupResult:
        if not made:
            warehouse = open_warehouse(settings)
            if isinstance(warehouse, DuckDBWarehouse):
                warehouse = replace(warehouse, patience=QUERY_SECONDS)
            found = declared(settings.project)
            queries = {table: found.table(table).query for table in tables_of(contract)}
            made.append(WarehouseLookups(warehouse, contract, queries))
        return made[0].look_up(requests.decoded)

    return look_up
