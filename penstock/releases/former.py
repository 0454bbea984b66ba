"""Releases that were recorded by a former digest of their contract, adopted by the present one."""

from collections.abc import Iterable

import psycopg

from penstock.contract.contract import Contract
from penstock.postgres.book import Book

_UNKNOWN = """SELECT DISTINCT contract FROM app.release r WHERE model = %s AND contract = %s
    AND NOT EXISTS (SELECT FROM app.former_contract f WHERE f.former = r.contract)"""
_ADOPT = "INSERT INTO app.former_contract (former, digest) VALUES (%s, %s) ON CONFLICT DO NOTHING"


def adopt(book: Book, contracts: Iterable[Contract]) -> list[str]:
    """Write down the present digest of each contract that a release is recorded of by its former one; their models.

    Only code whose descriptions are still those of then shows the former digest. What was written stays true when they
    are edited. Nothing is written where the connected role may not.
    """
    adopted: list[str] = []
    with book.connect() as connection:
        for contract in contracts:
            present, former = contract.known_as()
            if former == present or not connection.execute(_UNKNOWN, (contract.model, former)).fetchall():
                continue
            try:
                with connection.transaction():
                    connection.execute(_ADOPT, (former, present))
            except psycopg.errors.InsufficientPrivilege:
                continue
            adopted.append(contract.model)
    return adopted
