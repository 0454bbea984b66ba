"""What one model is served from at one moment: its release, its pointers, its statements, its tables in memory."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from penstock.artifact.native import Artifact
from penstock.contract.contract import Contract
from penstock.journal import writing
from penstock.journal.answers import AnswerForm, PredictionEncoder
from penstock.journal.predictions import form_of
from penstock.lookups.sql import tables_of, unmoved
from penstock.lookups.statement import Columns, LookupPart, LookupResult, LookupStatement
from penstock.postgres.pointer import Pointers
from penstock.serving.tables.in_memory import CachedLookup, RequestFields


class Release(msgspec.Struct, frozen=True):
    """A row of `app.current_release` with its loaded artifact."""

    model: str
    entry: int
    number: int
    digest: str
    artifact: Artifact


class ServingState:
    """An immutable state: one release, the pointers of one moment, and the lookups that are in memory at these.

    PenstockError if a table of the contract has no pointer.
    """

    def __init__(
        self,
        contract: Contract,
        release: Release,
        pointers: Pointers,
        cached: Mapping[str, CachedLookup] | None = None,
    ) -> None:
        self.contract = contract
        self.release = release
        self.pointers = pointers
        self.statement = LookupStatement(contract, pointers, previous=True, known=cached or ())
        self.in_memory = len(cached or ()) == len(contract.lookups)
        """Whether all lookups are answered without asking Postgres."""
        snapshots = msgspec.json.encode(self.statement.snapshots)
        self.origin = writing.Origin(contract.model, release.number, release.digest, snapshots.decode())
        self.form = AnswerForm(release.number, snapshots)
        self.write_after_lookup = writing.write_after_lookup(relaxed=contract.journal == "relaxed")
        self.write_at_once = writing.write_at_once(
            unmoved([pointers[table] for table in tables_of(contract)]), contract.unchanged
        )
        self.predictions = PredictionEncoder(form_of(contract, release.artifact))
        self._cached = cached or {}
        self._number = 0

    def known(self, requests: Sequence[msgspec.Struct], columns: Columns) -> dict[str, LookupPart]:
        """What n requests find in the tables that are in memory. `columns` are their `request_columns`."""
        fields = RequestFields(requests, columns)
        return {name: lookup.find(fields) for name, lookup in self._cached.items()}

    def look_up(self, requests: Sequence[msgspec.Struct], columns: Columns) -> LookupResult:
        """What n requests find, if all lookups are in memory."""
        return self.statement.assemble(self.known(requests, columns), len(requests))

    async def number(self, connection: Any) -> int:
        """The number by which the journal names the origin of this state's answers."""
        self._number = self._number or await writing.register(connection, self.origin)
        return self._number
