"""The contributions of features to the raw scores of one model file."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np

from penstock.artifact.checks import KernelModel
from penstock.artifact.columns import canonical
from penstock.artifact.explaining.background import columns_of
from penstock.artifact.explaining.interventional import interventional
from penstock.artifact.explaining.origins import (
    Sum,
    asked_slots,
    features_of_slots,
    sums_of_model,
    sums_of_scores,
)
from penstock.artifact.explaining.tree_shap import TreePlayers, TreeShap
from penstock.artifact.file import Explaining
from penstock.artifact.kernel_numpy import answer
from penstock.artifact.program import Engine
from penstock.contract.contract import Columns, Feature
from penstock.errors import ArtifactError, ContractError, PenstockError

Array = np.ndarray[Any, Any]
MOST_AT_ONCE = 500
"""So many rows are scored between two looks at the clock."""
Method = Literal["exact", "interventional"]


class Explanation(NamedTuple):
    """Why n rows were scored so: `base` (n, outputs) and the sum of `contributions` (n, outputs, features) is `scores`.

    - `base` is what is scored where no feature is known. A model that adds in float32 rounds its scores; what that
      makes of a row's score is in its base.
    - `method`: exact, or in comparison with stored training rows.
    """

    scores: Array
    base: Array
    contributions: Array
    method: Method


@dataclass(frozen=True)
class Source:
    """What explanations need of a model file. `score` returns raw scores (n, outputs), `inputs` the slots (n, slots).

    `most_rows`: about so many rows are scored at most to explain one in comparison with others.
    """

    name: str
    features: tuple[Feature, ...]
    explaining: Explaining
    score: Callable[[Columns], Array]
    most_rows: int
    arrays: Mapping[str, Array]
    inputs: Callable[[Columns], Array] | None = None
    models: tuple[KernelModel, ...] = ()
    program: Array | None = None
    constants: Array | None = None
    in_numpy: bool = False


class ExplanationTimeout(PenstockError):
    """The rows could not be explained in the time that there was."""


def missing_explanations(path: object, found: str = "a file without") -> ArtifactError:
    """The error of a model file that was packed without what explanations need."""
    return ArtifactError(
        f"artifact {path}",
        expected="what explanations need (covers of nodes, training rows)",
        found=found,
        todo="Declare Model(explain=True) and train the model again.",
    )


class Explainer:
    """Explains the predictions of one model file.

    - Trees, linear models, and sums of both: exactly, if each column of theirs was made of one feature.
    - Anything else: in comparison with the stored training rows.
    - A calibrated classifier: the mean raw score of the classifiers that are calibrated.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._parts = source.explaining.parts
        if not all(0 <= part < len(source.models) - 1 for part in self._parts):
            raise missing_explanations(source.name, "models that are not there")
        if not all(feature.name in source.explaining.background for feature in source.features):
            raise missing_explanations(source.name, "other training rows")
        self._background = columns_of(source.features, source.explaining)
        self._trees: dict[int, TreeShap] = {}
        self._sums = self._exact()

    def __call__(self, columns: Columns, seconds: float = math.inf) -> Explanation:
        """The explanation of n rows of feature columns; ContractError for those that the model does not take.

        ExplanationTimeout for rows that are compared with others, if that takes longer than `seconds`.
        """
        ends = time.monotonic() + seconds
        columns = canonical(self._source.features, columns)
        scores = self._score(columns)
        if self._sums is None:
            return self._compared(columns, scores, seconds, ends)
        assert self._source.inputs is not None
        slots = self._source.inputs(columns)
        base = np.zeros(scores.shape)
        made = np.zeros((*scores.shape, len(self._source.features)))
        of_trees = {part: shap(slots) for part, shap in self._trees.items()}
        for output, total in enumerate(self._sums):
            base[:, output] = total.constant
            for (part, at), factor in total.scores.items():
                base[:, output] += factor * self._trees[part].base[at]
                made[:, output] += factor * of_trees[part][:, at]
            for slot, factor in total.slots.items():
                mean = self._source.arrays["means"][slot]
                base[:, output] += factor * mean
                made[:, output, self._owners[slot]] += factor * (slots[:, slot] - mean)
        if any(model.single for model in self._source.models):
            base += scores - (base + made.sum(axis=2))
        return Explanation(scores, base, made, "exact")

    @cached_property
    def _made_of(self) -> list[frozenset[int]]:
        assert self._source.program is not None
        return features_of_slots(self._source.program, self._source.models, len(self._source.arrays["means"]))

    @cached_property
    def _owners(self) -> Array:
        """For each slot the feature that it was made of, the first one where there are several."""
        return np.array([min(features, default=0) for features in self._made_of], dtype=np.int64)

    def _score(self, columns: Columns) -> Array:
        if not self._parts:
            return self._source.score(columns)
        assert self._source.inputs is not None
        slots = np.ascontiguousarray(self._source.inputs(columns).T)
        with np.errstate(all="ignore"):
            return np.asarray(
                np.mean([answer(self._source.models[part], slots, raw=True) for part in self._parts], axis=0)
            )

    def _exact(self) -> list[Sum] | None:
        """The raw scores as sums of what can be explained exactly; None if they are not."""
        source = self._source
        if not source.models or source.program is None or source.constants is None:
            return None
        known = sums_of_scores(source.program, source.constants, source.models)
        if self._parts:
            wholes = [sums_of_model(source.models[part], part, known) for part in self._parts]
            sums = [Sum()] * len(wholes[0])
            for whole in wholes:
                sums = [one.plus(other.times(1 / len(wholes))) for one, other in zip(sums, whole, strict=True)]
        else:
            sums = sums_of_model(source.models[-1], len(source.models) - 1, known)
        for _ in range(len(source.models)):  # a model that another asks may ask others itself
            sums = [self._without_linear(one, known) for one in sums]
        slots = {slot for one in sums for slot in one.slots}
        parts = {part for one in sums for part, _ in one.scores}
        read = slots.union(*(asked_slots(source.models[part]) for part in parts))
        shared = frozenset[int]().union(*(self._groups(part) for part in parts))
        if any(len(self._made_of[slot]) > 1 for slot in read - shared):
            return None
        for part in sorted(parts):
            if (players := self._players(part)) is None:
                return None
            self._trees[part] = TreeShap(
                source.name, source.models[part], players, len(source.features), in_numpy=source.in_numpy
            )
        return sums

    def _without_linear(self, one: Sum, known: Mapping[int, Sum]) -> Sum:
        """The same, with the scores of models that are no trees as sums themselves."""
        made = Sum(one.constant, {}, one.slots)
        for (part, output), factor in one.scores.items():
            model = self._source.models[part]
            whole = Sum(scores={(part, output): 1.0})
            if model.engine != Engine.trees:
                whole = sums_of_model(model, part, known)[output]
            made = made.plus(whole.times(factor))
        return made

    def _players(self, part: int) -> TreePlayers | None:
        """What is known of the trees of a model beside their nodes; None without covers."""
        prefix = "" if part == len(self._source.models) - 1 else f"{part}."
        covers = self._source.arrays.get(f"{prefix}covers")
        if covers is None:
            return None
        players, owners = np.arange(len(self._made_of), dtype=np.int64), self._owners.copy()
        given = self._source.arrays.get(f"{prefix}players", players[:0])
        players[: len(given)] = given[: len(players)]
        of_slots = self._groups(part)
        groups = tuple(dict.fromkeys(of_slots.values()))
        for slot, group in of_slots.items():
            owners[slot] = len(self._source.features) + groups.index(group)
        return TreePlayers(covers, players, owners, groups)

    def _groups(self, part: int) -> dict[int, frozenset[int]]:
        """Slot of a model's statistic by several features -> the features that share what it contributes.

        Left out are those of which a sharer was itself made of several features, or of none.
        """
        prefix = "" if part == len(self._source.models) - 1 else f"{part}."
        sharers: dict[int, list[frozenset[int]]] = {}
        for slot, code in self._source.arrays.get(f"{prefix}sharers", np.empty((0, 2), np.int64)).tolist():
            if not (0 <= slot < len(self._made_of) and 0 <= code < len(self._made_of)):
                raise missing_explanations(self._source.name, "sharers that are no slots")
            sharers.setdefault(slot, []).append(self._made_of[code])
        return {slot: frozenset().union(*made) for slot, made in sharers.items() if all(len(one) == 1 for one in made)}

    def _compared(self, columns: Columns, scores: Array, seconds: float, ends: float) -> Explanation:
        def score(asked: Columns) -> Array:
            rows = len(next(iter(asked.values())))
            pieces = []
            for first in range(0, rows, MOST_AT_ONCE):
                if time.monotonic() > ends:
                    raise ExplanationTimeout(
                        "contributions",
                        expected=f"those to {len(scores)} predictions within {seconds:g} s",
                        found=f"those to {at}",
                        todo="Ask for fewer at once; one that is packed answers sooner.",
                    )
                part = {name: values[first : first + MOST_AT_ONCE] for name, values in asked.items()}
                try:
                    pieces.append(self._score(part))
                except ContractError as error:
                    raise _unscored(error.found) from error
            scored = np.concatenate(pieces)
            if not np.isfinite(scored).all():
                raise _unscored("a score that is no number")
            return scored

        base = np.zeros(scores.shape)
        names = [feature.name for feature in self._source.features]
        made = np.zeros((*scores.shape, len(names)))
        for at in range(len(scores)):
            row = {name: values[at : at + 1] for name, values in columns.items()}
            players = [name for name in names if not _same(row[name][0], self._background[name])]
            if not players:
                base[at] = scores[at]
                continue
            found, base[at] = interventional(score, row, self._background, players, self._source.most_rows)
            made[at][:, [names.index(name) for name in players]] = found.T
        base += scores - (base + made.sum(axis=2))  # many rows may round otherwise than one
        return Explanation(scores, base, made, "interventional")


def _unscored(found: str) -> PenstockError:
    return PenstockError(
        "contributions",
        expected="scores of the row with some values of training rows",
        found=found,
        todo="Such a model cannot be explained: leave out Model(explain=True).",
    )


def _same(value: Any, others: Array) -> bool:
    """Whether all others are the value, or missing as it is."""
    if isinstance(value, float) and math.isnan(value):
        return all(isinstance(other, float) and math.isnan(other) for other in others.tolist())
    return bool(np.all(others == value))
