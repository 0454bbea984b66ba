"""Which models cannot be served, because the current tables lack columns that they look up."""

from collections.abc import Mapping
from typing import Any

from penstock.contract.contract import Contract
from penstock.lookups.fit import misfits, types_of
from penstock.lookups.sql import tables_of
from penstock.postgres.pointer import PinnedTables


class Fits:
    """Asks the book's catalog whenever a table has become another one."""

    def __init__(self, contracts: Mapping[str, Contract]) -> None:
        self._contracts = contracts
        self._tables = {table for contract in contracts.values() for table in tables_of(contract)}
        self._seen: dict[str, str] = {}
        """Table -> the physical table that was looked at."""
        self._misfits: dict[str, str] = {}

    async def of(self, connection: Any, pointers: PinnedTables) -> Mapping[str, str]:
        """Model -> what of the current tables does not fit its contract; models without such a fault are not there."""
        current = {name: pointers[name] for name in self._tables if name in pointers}
        physical = {name: one.physical for name, one in current.items()}
        if physical != self._seen:
            types = await types_of(connection, physical.values())
            found = {name: misfits(contract, current, types) for name, contract in self._contracts.items()}
            self._misfits = {
                name: "; ".join(fault for of_table in faults.values() for fault in of_table)
                for name, faults in found.items()
                if faults
            }
            self._seen = physical
        return self._misfits
