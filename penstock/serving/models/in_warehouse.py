"""The models of the dev book over the project's warehouse. What reads a warehouse is loaded when one is asked."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from penstock.contract.contract import Contract
from penstock.lookups.sql import tables_of
from penstock.lookups.statement import LookupResult
from penstock.serving.answering.decoding import Requests
from penstock.serving.models.connections import Connections
from penstock.serving.models.direct_model import DirectModel, LookUp
from penstock.serving.models.served_model import ServedModel
from penstock.settings import Settings

if TYPE_CHECKING:
    from penstock.lookups.in_warehouse import WarehouseLookups

QUERY_SECONDS = 30.0
"""A request waits no longer for the warehouse."""


def direct_models(
    settings: Settings, contracts: Mapping[str, Contract], connections: Connections
) -> dict[str, ServedModel]:
    """A model for each contract; `connections` are to no book. Declarations are read when a model is first asked."""

    def lookups(contract: Contract) -> "WarehouseLookups":
        from penstock.declare.discovery import declared
        from penstock.lookups.in_warehouse import WarehouseLookups
        from penstock.warehouse.duckdb_file import DuckDBWarehouse
        from penstock.warehouse.opening import open_warehouse

        warehouse = open_warehouse(settings, timeout=QUERY_SECONDS)
        if isinstance(warehouse, DuckDBWarehouse):
            warehouse = replace(warehouse, patience=QUERY_SECONDS)
        found = declared(settings.project)
        return WarehouseLookups(warehouse, contract, {name: found.table(name).query for name in tables_of(contract)})

    return {
        name: DirectModel(contract, connections, _look_up(partial(lookups, contract)), settings.now)
        for name, contract in contracts.items()
    }


def _look_up(lookups: "Callable[[], WarehouseLookups]") -> LookUp:
    """Looks up with what `lookups` returns when it is first asked."""
    made: list[WarehouseLookups] = []

    def look_up(requests: Requests) -> LookupResult:
        if not made:
            made.append(lookups())
        return made[0].look_up(requests.decoded)

    return look_up
