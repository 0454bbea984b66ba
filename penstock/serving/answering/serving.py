"""What one model is served from at one moment: its release, its loaded artifact, its pointers, its statements."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from penstock.artifact.native import Artifact
from penstock.contract.contract import Contract
from penstock.journal import answers, journal
from penstock.journal.journal import Origin
from penstock.journal.outcomes import class_names
from penstock.journal.sql import write_at_once, write_seen
from penstock.lookups.found import Columns, Looked, Part
from penstock.lookups.sql import tables_of, unmoved
from penstock.lookups.statement import LookupStatement
from penstock.postgres.pointer import Pointers
from penstock.serving.tables.in_memory import AskedFields, CachedLookup


class Release(msgspec.Struct, frozen=True):
    """A row of `app.current_release` with its loaded artifact."""

    model: str
    entry: int
    version: int
    digest: str
    artifact: Artifact


class Serving:
    """A whole that stays as it is: the model's release, the pointers of one moment and what is in memory of them."""

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
        """Whether requests are looked up without asking Postgres."""
        snapshots = msgspec.json.encode(self.statement.snapshots)
        self.origin = Origin(contract.model, release.version, release.digest, snapshots.decode())
        self.form = answers.Form(release.version, snapshots)
        self.write_seen = write_seen(relaxed=contract.journal == "relaxed")
        self.write_at_once = write_at_once(
            unmoved([pointers[table] for table in tables_of(contract)]), contract.unchanged
        )
        self._cached = cached or {}
        self.outcomes = answers.Maker(class_names(contract, release.artifact))
        """Makes the JSON outcomes of new predictions."""
        self._number = 0

    def known(self, requests: Sequence[msgspec.Struct], columns: Columns) -> dict[str, Part]:
        """What n requests, also given as `request_columns`, find in the tables that are in memory."""
        asked = AskedFields(requests, columns)
        return {name: lookup.find(asked) for name, lookup in self._cached.items()}

    def look_up(self, requests: Sequence[msgspec.Struct], columns: Columns) -> Looked:
        """What n requests find, where all tables are in memory."""
        return self.statement.assemble(self.known(requests, columns), len(requests))

    def in_postgres(self) -> LookupStatement:
        """The statement that looks everything up in Postgres."""
        return LookupStatement(self.contract, self.pointers, previous=True)

    async def number(self, connection: Any) -> int:
        """The number of what its answers are made from, by which the journal names it."""
        self._number = self._number or await journal.register(connection, self.origin)
        return self._number
