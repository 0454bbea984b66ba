"""The estimators that are packed natively: what the tests try, and what `docs/models.md` lists."""

from tests.engine.artifact.estimator_ensembles import ENSEMBLES
from tests.engine.artifact.estimator_entries import Entry
from tests.engine.artifact.estimator_lines import LINES, TREES
from tests.engine.artifact.estimator_more import MORE
from tests.engine.artifact.estimator_steps import STEPS

PACKED: dict[str, Entry] = ENSEMBLES | STEPS | LINES | TREES | MORE
