"""The held-out rows of a training run, and the scores of artifacts on them."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from penstock.artifact.load import load as load_artifact
from penstock.declare.metrics import Task
from penstock.declare.model import Model
from penstock.releases.artifacts import ArtifactStore
from penstock.snapshots.store import Snapshot
from penstock.training.conformal import Coverage, coverage
from penstock.training.frame import TrainingRows, read_rows
from penstock.training.gate import Comparison, compare
from penstock.training.metrics import Values, of_bound, score_of
from penstock.training.own_features import KeptCode


class HeldOut:
    """The rows on which a candidate and a current release are compared.

    A training run has one, and hands it from the candidate to the gates of both books: rows are read once, an artifact
    is scored once, and two artifacts are compared once. Artifacts are named by the digests of their content, so a
    result is the one that the next step would compute again.

    An artifact of another contract is scored by its own features where `kept` has the code that computes them.
    """

    def __init__(
        self, model: Model, snapshot: Snapshot, store: ArtifactStore, cache: Path, kept: KeptCode | None = None
    ) -> None:
        self.model = model
        self.snapshot = snapshot
        self._store = store
        self._cache = cache
        self._kept = kept
        self._scores: dict[str, Values | None] = {}
        self._by_own_features: set[str] = set()
        self._comparisons: dict[tuple[str, str | None], Comparison] = {}

    @cached_property
    def rows(self) -> TrainingRows:
        """The rows, read from the snapshot at the first use."""
        return read_rows(self.model, self.snapshot)

    def keep_scores(self, artifact: str, scores: Values) -> None:
        """Keep the scores of an artifact that its maker has computed already."""
        self._scores[artifact] = scores

    def scores(self, artifact: str) -> Values | None:
        """The scores of a stored artifact; None if it needs features, or answers in classes, that the model lacks."""
        if artifact not in self._scores:
            self._scores[artifact] = self._compute(artifact)
        return self._scores[artifact]

    def lacks_features(self, artifact: str) -> bool:
        """Whether a stored artifact needs features that the contract does not have."""
        loaded = load_artifact(self._store.fetch(artifact, self._cache))
        return not {one.name for one in loaded.features} <= {one.name for one in self.model.contract.features}

    def coverage(self, artifact: str) -> Coverage | None:
        """How many outcomes the intervals or sets of a stored artifact hold, on the rows that do not calibrate the
        candidate's; None if it has none, or `scores` returns None."""
        conformal = load_artifact(self._store.fetch(artifact, self._cache)).conformal
        scores = self.scores(artifact) if conformal else None
        if conformal is None or scores is None:
            return None
        predicted = np.column_stack([1.0 - scores, scores]) if self.model.task == "binary" else scores
        return coverage(conformal, predicted, self.rows.outcome)

    def compare(self, candidate: str, current: str | None) -> Comparison:
        """The metrics of the candidate's artifact and of the current release's, if there is one, by the model's gate.

        Where `scores` returns None for the candidate, its scores are taken as 0.5; for the current release, as absent.
        """
        if (candidate, current) not in self._comparisons:
            rows = self.rows
            with ThreadPoolExecutor(1) as beside:
                candidate_scores = beside.submit(self.scores, candidate)
                current_scores = self.scores(current) if current else None
            scores = candidate_scores.result()
            comparison = compare(
                self.model.gate,
                rows.outcome,
                np.full(self._shape, 0.5) if scores is None else scores,
                current_scores,
                slices=rows.slices,
                measure=partial(of_bound, self.model),
            )
            other = self._other_contract(current) if current else ""
            self._comparisons[candidate, current] = replace(comparison, other_contract=other)
        return self._comparisons[candidate, current]

    def _other_contract(self, artifact: str) -> str:
        """The contract of a stored artifact that was scored by features which it was not fitted to; empty for none."""
        if artifact in self._by_own_features:
            return ""
        contract = str(load_artifact(self._store.fetch(artifact, self._cache)).metadata.get("contract", ""))
        return "" if self.model.contract.is_of(contract) else contract

    def _compute(self, artifact: str) -> Values | None:
        loaded = load_artifact(path := self._store.fetch(artifact, self._cache))
        if loaded.scores != self.model.contract.output.scores:
            return None
        predictions = self._predicted_by_own_features(path, str(loaded.metadata.get("contract", "")))
        if predictions is not None:
            self._by_own_features.add(artifact)
        elif self.lacks_features(artifact):
            return None
        else:
            predictions = loaded.predict({one.name: self.rows.vectors[one.name] for one in loaded.features})
        scores = score_of(predictions, self.model.task)
        return scores if scores.shape == self._shape else None

    def _predicted_by_own_features(self, artifact: Path, contract: str) -> Values | None:
        model = self.model
        if self._kept is None or model.contract.is_of(contract):
            return None
        demanded = model.outcomes if model.null_outcome == "leave_out" else ()
        return self._kept.predictions(contract, model.contract.model, artifact, self.snapshot, demanded)

    @property
    def _shape(self) -> tuple[int, ...]:
        """The shape of the model's scores for these rows."""
        output = self.model.contract.output
        widths: dict[Task, tuple[int, ...]] = {
            "multiclass": (len(output.classes),),
            "binary_scores": (2,),
            "multiclass_scores": (1 + len(output.classes),),
            "values": (len(output.values),),
        }
        return (len(self.rows.outcome), *widths.get(self.model.task, ()))
