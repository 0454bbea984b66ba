"""`"explain": true` in a request, and why a journaled prediction was made: contributions beside answers."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from penstock.artifact.explaining.explainer import ExplanationTimeout
from penstock.artifact.load import load
from penstock.artifact.native import Artifact
from penstock.errors import PenstockError
from penstock.journal.explaining import Contributions, explain
from penstock.journal.reading import JournalEntry
from penstock.releases.artifacts import ArtifactStore
from penstock.serving.http.problems import Fault, Problem, refused, unavailable
from penstock.serving.models.served_model import ServedModel
from penstock.serving.routes.reading import Reader

FIELD = "explain"
EXPLAIN = b'"explain"'
"""In every body that asks for explanations."""
MOST_EXPLAINED = 100
"""Most requests of one array that may be explained."""
MOST_SECONDS = 10.0
"""Longest time of one request for contributions that compare with training rows."""
TRIES, PAUSE = 40, 0.025
"""How often an answer is looked for, and the seconds between: a relaxed journal has it only after it was sent."""


class Wish(NamedTuple):
    """A body without what asks for explanations, and the places of the requests that ask for one."""

    body: bytes
    places: list[int]


def read_wish(model: ServedModel, body: bytes) -> Wish:
    """What a body wishes to be explained; Problem 422 if that is not possible. Any other fault is left in it."""
    if FIELD in model.contract.request.__struct_fields__:
        return Wish(body, [])
    is_array = body.lstrip()[:1] == b"["
    try:
        requests = _MANY.decode(body) if is_array else [_ONE.decode(body)]
    except (msgspec.DecodeError, ValueError, RecursionError):
        return Wish(body, [])
    wishes = [bytes(request.pop(FIELD, msgspec.Raw(b"false"))).strip() for request in requests]
    faults = [
        Fault(_path(at, is_array=is_array), "a bool", wish.decode(errors="replace")[:80])
        for at, wish in enumerate(wishes)
        if wish not in (b"true", b"false")
    ]
    places = [at for at, wish in enumerate(wishes) if wish == b"true"]
    if places and not faults and (why := _refusal(model)):
        faults = [Fault(_path(places[0], is_array=is_array), why, "true")]
    if len(places) > MOST_EXPLAINED:
        faults.append(Fault("$", f"at most {MOST_EXPLAINED} requests that are explained", str(len(places))))
    if faults:
        raise refused(*faults)
    return Wish(msgspec.json.encode(requests if is_array else requests[0]), places)


def _path(at: int, *, is_array: bool) -> str:
    return f"$[{at}].{FIELD}" if is_array else f"$.{FIELD}"


def _refusal(model: ServedModel) -> str:
    """What would have to be so that predictions can be explained; empty if they can, or nothing is served."""
    release = model.release
    if not model.journals:
        return "false, as predictions are explained from the journal, and the dev book has none"
    if release is None or release.artifact.explains:
        return ""
    return f"false, as release {release.number} of {model.contract.model} does not explain: Model(explain=True) is off"


class Explanations:
    """Explains journaled predictions, by the artifacts that made them."""

    def __init__(self, reader: Reader, store: ArtifactStore, cache: Path) -> None:
        self._reader, self._store, self._cache = reader, store, cache

    async def of(self, model: ServedModel, id_: str) -> Contributions | None:
        """Why one journaled prediction was made; None if there is none of this id, Problem 404 if it is not known."""
        entry = await self._reader.prediction(model.contract.model, id_)
        if entry is None:
            return None
        found = await self._explain(model, [entry])
        if found[0] is None:
            detail = f"contributions: expected a release that explains, found release {entry.release} without"
            raise Problem(404, "no-contributions", detail)
        return found[0]

    async def add(self, model: ServedModel, answers: list[bytes], places: Sequence[int]) -> list[bytes]:
        """The answers, those at `places` with their contributions: null where an earlier release gave the answer
        and cannot say."""
        ids = [_ID.decode(answers[place]).id for place in places]
        entries: dict[str, JournalEntry] = {}
        for _ in range(TRIES):
            found = await self._reader.predictions(model.contract.model, [id_ for id_ in ids if id_ not in entries])
            entries |= {entry.id: entry for entry in found}
            if entries.keys() >= set(ids):
                break
            await asyncio.sleep(PAUSE)
        else:
            raise unavailable("not-journaled", "The answers are not yet journaled, so that they cannot be explained.")
        every = list(entries.values())
        whys = dict(zip(entries, await self._explain(model, every), strict=True))
        made = list(answers)
        for place, id_ in zip(places, ids, strict=True):
            why = whys[id_]
            told = b'{"contributions":null}' if why is None else msgspec.json.encode(why)
            made[place] = b"%b,%b" % (answers[place][:-1], told[1:])
        return made

    async def _explain(self, model: ServedModel, entries: Sequence[JournalEntry]) -> list[Contributions | None]:
        found: dict[str, Contributions] = {}
        for digest in {entry.artifact for entry in entries}:
            same = [entry for entry in entries if entry.artifact == digest]
            artifact = await self._artifact(model, digest)
            if not artifact.explains:
                continue
            try:
                every = await asyncio.to_thread(explain, model.contract, artifact, same, MOST_SECONDS)
            except ExplanationTimeout as error:
                raise unavailable("explanation-timeout", str(error)) from None
            except PenstockError as error:
                raise Problem(404, "no-contributions", str(error)) from None
            found |= {one.entry.id: one.why for one in every}
        return [found.get(entry.id) for entry in entries]

    async def _artifact(self, model: ServedModel, digest: str) -> Artifact:
        release = model.release
        if release is not None and release.digest == digest:
            return release.artifact
        return await asyncio.to_thread(lambda: load(self._store.fetch(digest, self._cache)))


class _Answer(msgspec.Struct):
    id: str


_ONE = msgspec.json.Decoder(dict[str, msgspec.Raw])
_MANY = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
_ID = msgspec.json.Decoder(_Answer)
