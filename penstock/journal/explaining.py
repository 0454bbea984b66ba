"""Why a journaled prediction was made: contributions of features, from the very rows that were looked up."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np

from penstock.artifact.native import Artifact, best_places
from penstock.contract.columns import request_columns
from penstock.contract.contract import Contract
from penstock.errors import PenstockError
from penstock.journal.predictions import class_names
from penstock.journal.reading import JournalEntry
from penstock.journal.writing import feature_digests
from penstock.lookups.statement import LookupStatement
from penstock.postgres.pointer import PinnedTable

if TYPE_CHECKING:
    from penstock.journal.replay import Replay


class ValueContributions(msgspec.Struct, frozen=True):
    """Why a prediction has one value, or one class its score."""

    contributions: dict[str, float]
    base_value: float
    raw_score: float

    def largest_first(self) -> list[tuple[str, float]]:
        """Features and their contributions, the largest in amount first."""
        return sorted(self.contributions.items(), key=lambda pair: (-abs(pair[1]), pair[0]))


class Contributions(msgspec.Struct, frozen=True):
    """Why one prediction was made. `base_value` and the sum of `contributions` is `raw_score`.

    - `explained`: the class whose raw score it is, or the output of a regressor. Of two classes it is the second, of
      several the predicted one, of several values the first.
    - `explained_by`: exact, or interventional, that is in comparison with training rows.
    - `others`: the same of the further values.
    """

    contributions: dict[str, float]
    base_value: float
    raw_score: float
    explained: str
    explained_by: str
    others: dict[str, ValueContributions] | msgspec.UnsetType = msgspec.UNSET

    def of_all(self) -> dict[str, ValueContributions]:
        """The explained class or value, and the further values, by name."""
        first = ValueContributions(self.contributions, self.base_value, self.raw_score)
        return {self.explained: first} | (self.others or {})


class Reason(NamedTuple):
    """A journaled prediction, the values of its features, and why it was made."""

    entry: JournalEntry
    values: dict[str, Any]
    why: Contributions


def explain(
    contract: Contract, artifact: Artifact, entries: Sequence[JournalEntry], seconds: float = math.inf
) -> list[Reason]:
    """Why predictions of one model were made, by one artifact, which need not be the one that made them.

    ExplanationTimeout if it takes longer than `seconds`. PenstockError if the artifact cannot explain, or if this code
    does not make the features that were journaled.
    """
    vectors = _vectors(contract, entries)
    names = [feature.name for feature in artifact.features]
    taken = {name: vectors[name] for name in names}
    found = artifact.explain(taken, seconds)
    classes = class_names(contract, artifact)
    values = [value.name for value in contract.output.values]
    places = np.zeros(len(entries), dtype=np.int64)
    if classes and found.scores.shape[1] == 2:
        places[:] = 1
    elif classes and found.scores.shape[1] > 2:
        places = best_places(artifact, artifact.predict(taken))

    def of(at: int, place: int) -> ValueContributions:
        amounts = dict(zip(names, found.contributions[at, place].tolist(), strict=True))
        return ValueContributions(amounts, float(found.base[at, place]), float(found.scores[at, place]))

    made: list[Reason] = []
    for at, (entry, place) in enumerate(zip(entries, places.tolist(), strict=True)):
        first = of(at, place)
        explained = values[0] if values else contract.output.name
        if classes:
            explained = classes[max(place, 1) if len(classes) == 2 else place]
        why = Contributions(
            first.contributions,
            first.base_value,
            first.raw_score,
            explained,
            found.method,
            {name: of(at, other) for other, name in enumerate(values) if other} or msgspec.UNSET,
        )
        made.append(Reason(entry, {name: vectors[name][at : at + 1].tolist()[0] for name in names}, why))
    return made


def explain_each(
    replay: "Replay", contract_of: Callable[[str], Contract], ids: Sequence[str]
) -> Iterator[tuple[Sequence[JournalEntry], list[Reason] | PenstockError]]:
    """Journaled predictions, those of one release together, and why they were made, or why that cannot be said."""
    for same in replay.by_artifact(ids=ids):
        first = same[0]
        try:
            yield same, explain(contract_of(first.model), replay.artifact(first.artifact), same)
        except PenstockError as error:
            yield same, PenstockError(f"release {first.release} of {first.model}: {error}")


def _vectors(contract: Contract, entries: Sequence[JournalEntry]) -> Mapping[str, np.ndarray[Any, Any]]:
    """The features of journaled predictions; PenstockError unless they are those that were journaled, to the bit."""
    thing = f"features of prediction {entries[0].id}"
    todo = "It was made by other code; `penstock replay` says by which."
    try:
        requests = [msgspec.json.decode(entry.request, type=contract.request) for entry in entries]
    except msgspec.ValidationError as error:
        raise PenstockError(thing, expected="a request of the contract", found=str(error), todo=todo) from None
    nowhere = {lookup.table: PinnedTable(lookup.table, "", "") for lookup in contract.lookups}
    looked = LookupStatement(contract, nowhere, pinned=True).decode_rows([bytes(one.looked_up) for one in entries])
    vectors = contract.vectors(request_columns(contract, requests) | looked.columns, len(entries))
    for entry, digest in zip(entries, feature_digests(contract, vectors), strict=True):
        if digest.hex() != entry.features:
            of, found = f"features of prediction {entry.id}", f"others ({digest.hex()})"
            raise PenstockError(of, expected=f"those that were journaled ({entry.features})", found=found, todo=todo)
    return vectors
