"""Model cards: what a candidate was made from and how well it did, stored under the digest of its artifact."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

import msgspec

from penstock.artifact.conformal import Conformal
from penstock.contract.contract import Lookup, Output
from penstock.declare.metrics import Task
from penstock.errors import ArtifactError
from penstock.releases.artifacts import StoreFolder, checked_digest, is_digest
from penstock.store_url import open_store


class Rows(msgspec.Struct, frozen=True):
    """A snapshot of rows, and their window [since, until)."""

    snapshot: str
    rows: int
    since: datetime
    until: datetime


class MetricValue(msgspec.Struct, frozen=True):
    """A metric on the held-out rows or on one slice of them, with its 95% bootstrap interval."""

    name: str
    value: float | None
    low: float | None
    high: float | None
    rows: int


class RequestField(msgspec.Struct, frozen=True):
    """One field of the request: type, bounds and meaning in words."""

    name: str
    type: str
    required: bool
    bounds: str
    meaning: str


class CardFeature(msgspec.Struct, frozen=True):
    """One input of the estimator.

    - `importance`: by how much the metric worsens if its values are shuffled.
    - `contribution`: the mean absolute one to the raw scores of held-out rows, of a model that explains.
    """

    name: str
    kind: str
    meaning: str
    importance: float
    deviation: float
    contribution: float | None = None


class Card(msgspec.Struct, frozen=True):
    """One candidate, described by data alone.

    - `plot`: a PNG. Two classes: ROC, precision and recall, calibration; more: confusion. Regression: residuals.
    - `contributions_plot`: a PNG of importances and contributions, of a model that explains.
    - `conformal`: how intervals or sets are made; they hold the share `coverage` of `coverage_rows` other outcomes.
    - `chosen`, `curves`, `curves_plot`: what the model's fit function chose, its curves by iteration, and their PNG.
    - `outcome_rate`: the mean of the outcomes.
    - `continues`: the artifact from whose estimator the training went on, empty if it began anew.
    - `outside`: request field -> how many training and held-out rows are outside its bounds.
    - `sampled`: how many training rows were used, None for all.
    - `also`: further bounds of the gate.
    - `packed`: whether the artifact is native. If not, `library` predicts in replicas, one row alone in `us_per_row`;
      skops has loaded the estimator with its `trusted_types`, or CatBoost its own file."""

    model: str
    purpose: str
    owner: str
    output: Output
    estimator: str
    artifact: str
    artifact_bytes: int
    contract: str
    code_version: str
    period: str
    training: Rows
    holdout: Rows
    outcome_rate: float
    metrics: tuple[MetricValue, ...]
    base_rate: float | None
    metric: str
    floor: float
    margin: float
    slice_by: str
    slice_floor: float | None
    slices: tuple[MetricValue, ...]
    parity: float
    parity_allowed: float
    request: tuple[RequestField, ...]
    lookups: tuple[Lookup, ...]
    features: tuple[CardFeature, ...]
    importance_rows: int
    plot: bytes
    continues: str = ""
    task: Task = "binary"
    sampled: int | None = None
    outside: tuple[tuple[str, int], ...] = ()
    also: tuple[tuple[str, float, float], ...] = ()
    packed: bool = True
    library: str = ""
    us_per_row: float | None = None
    trusted_types: tuple[str, ...] = ()
    contributions_plot: bytes = b""
    chosen: tuple[tuple[str, str], ...] = ()
    curves: dict[str, tuple[float, ...]] = {}
    curves_plot: bytes = b""
    conformal: Conformal | None = None
    coverage: float | None = None
    coverage_rows: int = 0


class CardStore:
    """Cards in the folder `cards` of an artifact store, each named by its artifact's digest."""

    def __init__(self, artifacts_url: str) -> None:
        self._folder = StoreFolder(artifacts_url, "cards")

    def put(self, card: Card) -> None:
        """Store a card, whole or not at all. It replaces a card of the same artifact."""
        self._folder.write(_name(card.artifact), msgspec.json.encode(card))

    def get(self, artifact: str) -> Card | None:
        """The card of an artifact, None if it has none; ArtifactError if it cannot be read."""
        name = _name(artifact)
        if (content := self._folder.read(name)) is None:
            return None
        try:
            return _decoded(content)
        except msgspec.DecodeError as error:
            thing, todo = f"card {self._folder.url}/{name}", "Train the period again, which writes the card again."
            raise ArtifactError(thing, expected="a model card", found=str(error), todo=todo) from None

    def newest_first(self) -> list[tuple[float, str]]:
        """When the card of each artifact was written, and the artifact's digest, newest first."""
        filesystem, root = open_store(self._folder.url)
        filesystem.invalidate_cache()
        try:
            files = filesystem.ls(root, detail=True)
        except FileNotFoundError:
            return []
        named = [(_written(file), PurePosixPath(file["name"]).stem) for file in files]
        return sorted((one for one in named if is_digest(one[1])), reverse=True)


def _name(artifact: str) -> str:
    return f"{checked_digest(artifact)}.json"


def _written(file: Mapping[str, Any]) -> float:
    """When a file was written, by what its filesystem calls that."""
    found = next((file[name] for name in ("mtime", "LastModified", "updated", "last_modified") if name in file), 0.0)
    if isinstance(found, str):
        found = datetime.fromisoformat(found)
    return found.timestamp() if isinstance(found, datetime) else float(found)


def _decoded(content: bytes) -> Card:
    """The card; one from before periods has its period as `month`."""
    found = msgspec.json.decode(content)
    if isinstance(found, dict) and "month" in found:
        found["period"] = found.pop("month")
    return msgspec.convert(found, Card)
