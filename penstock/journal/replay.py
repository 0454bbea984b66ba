"""Replay: journaled predictions made again from their release and snapshots, and compared bit by bit."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec

from penstock.artifact.load import load as load_artifact
from penstock.artifact.native import Artifact
from penstock.contract.columns import request_columns
from penstock.contract.contract import Contract
from penstock.errors import PenstockError
from penstock.journal.apart import Order, replay_apart
from penstock.journal.made_again import answered, is_near, predicted_again
from penstock.journal.predictions import form_of, predictions
from penstock.journal.reading import READ, JournalEntry, journal_entry
from penstock.journal.verdict import Stage, Verdict
from penstock.journal.writing import feature_digests
from penstock.lookups.look_up import look_up_now
from penstock.lookups.sql import bound_types
from penstock.lookups.statement import LookupResult, LookupStatement
from penstock.postgres.book import Book
from penstock.postgres.pointer import PinnedTable, physical_tables
from penstock.releases.artifacts import ArtifactStore
from penstock.releases.code_archive import CodeArchive
from penstock.releases.ledger import made_by, newest_entry

BATCH = 2000
SHOWN = 300

_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@dataclass(frozen=True)
class Replay:
    """Replays the journal of one book.

    - `snapshots` is the URL of the snapshot store, for tables that are gone.
    - `archive` has the code of earlier contracts. Their predictions are made again by it, in a process of its own.
    """

    book: Book
    contracts: Mapping[str, Contract]
    artifacts: ArtifactStore
    cache: Path
    snapshots: str = ""
    archive: CodeArchive | None = None

    def run(
        self, *, ids: Sequence[str] = (), since: datetime | None = None, model: str = "", limit: int = 0
    ) -> Iterator[Verdict]:
        """Replay the given predictions, or those answered since an instant, oldest first."""
        for batch in self._batches(ids, since, model, limit):
            batch.sort(key=_origin)
            for _, same_origin in groupby(batch, key=_origin):
                yield from self._replay(list(same_origin))

    def by_artifact(
        self, *, ids: Sequence[str] = (), since: datetime | None = None, model: str = "", limit: int = 0
    ) -> Iterator[list[JournalEntry]]:
        """The same predictions as `run` takes, those of one artifact together."""
        for batch in self._batches(ids, since, model, limit):
            batch.sort(key=_artifact)
            for _, of_one in groupby(batch, key=_artifact):
                yield list(of_one)

    def artifact(self, digest: str) -> Artifact:
        """A stored artifact, loaded."""
        return load_artifact(self.artifacts.fetch(digest, self.cache))

    def artifact_of(self, model: str, release: int) -> str:
        """The artifact of a release; PenstockError if the ledger has none."""
        found = newest_entry(self.book, model, release)
        if found is None:
            todo = f"`penstock releases {model}` lists them."
            raise PenstockError(f"release {release} of {model}", expected="one of the ledger", found="none", todo=todo)
        return found.artifact

    def _batches(
        self, ids: Sequence[str], since: datetime | None, model: str, limit: int
    ) -> Iterator[list[JournalEntry]]:
        demand_ids(ids)
        where, values = ["true"], {"ids": list(ids), "since": since, "model": model, "limit": limit or None}
        if ids:
            where.append("p.id = ANY(%(ids)s::uuid[])")
        if since:
            where.append("p.id >= app.first_id(%(since)s)")
        if model:
            where.append("p.model = %(model)s")
        sql = f"{READ} WHERE {' AND '.join(where)} ORDER BY p.id LIMIT %(limit)s"
        with self.book.connect() as connection, connection.cursor("replay") as cursor:
            cursor.execute(sql, values)
            while records := cursor.fetchmany(BATCH):
                yield [journal_entry(record) for record in records]

    @cached_property
    def _made_by(self) -> dict[tuple[str, int], tuple[str, str]]:
        """Model and release -> the digest of its contract, and the version of the code that trained it."""
        return made_by(self.book)

    @cached_property
    def _physical(self) -> dict[tuple[str, str], str]:
        with self.book.connect() as connection:
            return physical_tables(connection)

    def _replay(self, batch: list[JournalEntry]) -> Iterator[Verdict]:
        """Replay predictions of one model, release and set of snapshots."""
        first = batch[0]
        if (folder := self._archived(first)) is not None:
            yield from replay_apart(self._order(folder, batch))
            return
        try:
            contract = self._contract(first)
            model = _step("artifact", lambda: self.artifact(first.artifact))
            requests = [_request(contract, one) for one in batch]
            looked = _step("snapshots", lambda: self._look_up(contract, first, requests))
            vectors = contract.vectors(request_columns(contract, requests) | looked.columns)
            made = predictions(form_of(contract, model), predicted_again(model, vectors))
        except _ReplayStop as stopped:
            for one in batch:
                said = (stopped.expected[:SHOWN], stopped.found[:SHOWN], stopped.needs_code)
                yield Verdict(one.id, one.model, one.release, stopped.stage, *said)
            return
        digests = feature_digests(contract, vectors)
        for one, rows, digest, prediction in zip(batch, looked.rows, digests, made, strict=True):
            answer = msgspec.json.decode(one.answer)
            again = prediction._asdict()
            near = is_near(model, answer, again)
            stages: tuple[tuple[Stage, str, str], ...] = (
                ("looked_up", bytes(one.looked_up).decode(), rows.decode()),
                ("features", one.features, digest.hex()),
                ("output", "", "") if near else ("output", answered(answer), answered(again)),
            )
            stage, expected, found = next((stage for stage in stages if stage[1] != stage[2]), ("", "", ""))
            if stage == "looked_up":
                expected, found = _difference(expected, found)
            said = (stage, expected[:SHOWN], found[:SHOWN])
            yield Verdict(one.id, one.model, one.release, *said, near=near and not stage)

    def _archived(self, one: JournalEntry) -> Path | None:
        """The code that made a prediction, where it is another than this, and kept."""
        contract, (digest, _) = self.contracts.get(one.model), self._made_by.get((one.model, one.release), ("", ""))
        if self.archive is None or (contract is not None and contract.is_of(digest)):
            return None
        return self.archive.fetch(digest, self.cache.parent / "code")

    def _order(self, folder: Path, batch: Sequence[JournalEntry]) -> Order:
        ids = [one.id for one in batch]
        cache, book = str(self.cache), self.book
        return Order(str(folder), book.name, book.url, self.artifacts.url, cache, self.snapshots, ids)

    def _contract(self, one: JournalEntry) -> Contract:
        contract = self.contracts.get(one.model)
        digest, version = self._made_by.get((one.model, one.release), ("", ""))
        if contract is None or not contract.is_of(digest):
            code = f"{version or 'of an unknown version'} (contract {digest[:12] or 'unknown'})"
            here = f"contract {contract.digest()[:12]}" if contract is not None else f"no contract of {one.model}"
            raise _ReplayStop("contract", f"code {code}", here, needs_code=code)
        return contract

    def _look_up(self, contract: Contract, one: JournalEntry, requests: Sequence[msgspec.Struct]) -> LookupResult:
        snapshots = msgspec.json.decode(one.snapshots, type=dict[str, str])
        pinned = {
            table: PinnedTable(table, snapshot, self._physical.get((table, snapshot), ""))
            for table, snapshot in snapshots.items()
        }
        if all(pointer.physical for pointer in pinned.values()):
            return look_up_now(self.book.url, contract, requests, pinned)[0]
        from penstock.lookups.in_snapshots import look_up_stored
        from penstock.snapshots.store import SnapshotStore

        store = SnapshotStore(self.snapshots)
        opened = {table: store.open(pointer.snapshot) for table, pointer in pinned.items()}
        return look_up_stored(LookupStatement(contract, pinned, pinned=True), opened, requests)


class _ReplayStop(Exception):
    """No prediction of a batch could be made again."""

    def __init__(self, stage: Stage, expected: str, found: str, needs_code: str = "") -> None:
        super().__init__(stage, expected, found)
        self.stage, self.expected, self.found, self.needs_code = stage, expected, found, needs_code


def _request(contract: Contract, one: JournalEntry) -> msgspec.Struct:
    """The request as it was. The service once filled in a present with its zone where the field has none."""
    try:
        return msgspec.json.decode(one.request, type=contract.request)
    except msgspec.ValidationError as error:
        document = msgspec.json.decode(one.request)
        asked_at, bound = one.asked_at.astimezone(UTC), bound_types(contract)[contract.asked_at]
        if bound not in ("timestamp", "date"):
            raise _ReplayStop("contract", "a request of the contract", f"{one.id}: {error}") from None
        document[contract.asked_at] = asked_at.replace(tzinfo=None) if bound == "timestamp" else asked_at.date()
        return msgspec.convert(document, contract.request)


def _step(stage: Stage, run: Any) -> Any:
    try:
        return run()
    except PenstockError as error:
        raise _ReplayStop(stage, error.expected or error.thing, error.found or str(error)) from error


def _origin(one: JournalEntry) -> tuple[str, int, str, bytes]:
    return one.model, one.release, one.artifact, bytes(one.snapshots)


def _artifact(one: JournalEntry) -> tuple[str, str]:
    return one.model, one.artifact


def _difference(expected: str, found: str) -> tuple[str, str]:
    """The first lookup in which two JSON rows differ."""
    before, after = msgspec.json.decode(expected), msgspec.json.decode(found)
    for name in before:
        if before[name] != after.get(name):
            return f"{name}: {msgspec.json.encode(before[name]).decode()}", msgspec.json.encode(
                after.get(name)
            ).decode()
    return expected, found


def demand_ids(ids: Sequence[str]) -> None:
    """PenstockError that names every text which is no id of a prediction."""
    if wrong := [text for text in ids if not _ID.fullmatch(text)]:
        raise PenstockError(
            "ids of predictions",
            expected="such as an answer's `id`: 01a214e2-55ea-7000-8a7a-2eadae9f2757",
            found=", ".join(map(repr, wrong)),
        )
