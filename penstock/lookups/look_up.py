"""Looking up against a book as it is now: for those who are not a replica."""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec

from penstock.contract.contract import Contract
from penstock.lookups.fit import demand_fit
from penstock.lookups.statement import UNDEFINED_TABLE, LookupFailure, LookupResult, LookupStatement
from penstock.postgres.pointer import PinnedTables, read_pointers

MOST_SWITCHES = 20
PATIENCE_SECONDS = 30.0


async def look_up(
    connection: Any, contract: Contract, requests: Sequence[msgspec.Struct], pointers: PinnedTables | None = None
) -> tuple[LookupResult, dict[str, str]]:
    """What n requests find, and the snapshot ids that were really read; `pointers` pins the physical tables.

    The requests need their `asked_at`. LookupFailure where a table is not published or its pointer keeps moving,
    ContractError where its columns are not of the types that the contract declares.
    """
    for _ in range(MOST_SWITCHES):
        current: PinnedTables = pointers if pointers is not None else await read_pointers(connection)
        statement = LookupStatement(contract, current, pinned=pointers is not None)
        await demand_fit(connection, contract, current)
        try:
            records = await connection.fetch(statement.sql, *statement.arguments(requests))
        except Exception as error:
            if pointers is None and getattr(error, "sqlstate", "") == UNDEFINED_TABLE:
                continue
            raise
        if not records or records[0][0]:
            return statement.decode(records), statement.snapshots
    raise LookupFailure(
        f"lookups of model {contract.model!r}",
        expected="pointers that stand still",
        found=f"{MOST_SWITCHES} switches in a row",
        todo="Publish less often.",
    )


def look_up_now(
    url: str, contract: Contract, requests: Sequence[msgspec.Struct], pointers: PinnedTables | None = None
) -> tuple[LookupResult, dict[str, str]]:
    """`look_up` for synchronous callers: connects to the book's URL, looks up, and hangs up."""
    from penstock.lookups.connection import connect

    async def run() -> tuple[LookupResult, dict[str, str]]:
        connection = await connect(url, seconds=PATIENCE_SECONDS)
        try:
            return await look_up(connection, contract, requests, pointers)
        finally:
            await connection.close()

    return asyncio.run(run())
