"""Retention of models as a scheduled asset: old artifacts, estimators and cards are shown first, then dropped."""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from penstock.graph.environment import Environment
from penstock.graph.evidence import as_table
from penstock.graph.faults import faults
from penstock.graph.retention import GROUP, OWNER, RetentionConfig
from penstock.retention.models import ModelRetention, StoredFile, drop, droppable

KEY = dg.AssetKey([GROUP, "model_retention"])


def model_retention(policy: ModelRetention) -> dg.AssetsDefinition:
    """The asset that keeps the artifact store from growing for ever."""

    @dg.asset(
        key=KEY,
        group_name=GROUP,
        description=f"Drops artifacts, estimators and cards that nobody needs any more. The current release of each "
        f"model and the {policy.previous} releases before it stay, as does every release that was current within the "
        f"last {policy.replayable.days} days, which replay may need, and whatever is younger than {policy.young.days} "
        "days. An observation lists all of it before anything is dropped.",
        owners=[OWNER],
        kinds={"file"},
    )
    def keep_few(
        environment: Environment, config: RetentionConfig
    ) -> Iterator[dg.AssetObservation | dg.MaterializeResult[None]]:
        settings, books = environment.settings, environment.books
        with faults():
            found = droppable(settings.artifacts, books, policy)
            yield dg.AssetObservation(KEY, description="May go", metadata=_evidence(found))
            cache = settings.artifact_cache
            dropped = [] if config.dry_run else drop(settings.artifacts, books, found, policy, cache=cache)
        yield dg.MaterializeResult(
            metadata={
                **_evidence(found),
                "dry_run": config.dry_run,
                "dropped_files": len(dropped),
                "dropped_bytes": sum(file.bytes for file in dropped),
            }
        )

    return keep_few


def _evidence(found: Sequence[StoredFile]) -> dict[str, Any]:
    """The files as a table, with their size."""
    files = as_table(
        ("kind", "artifact or estimator", "bytes", "written"),
        [(file.kind, file.digest[:12], file.bytes, f"{file.written:%Y-%m-%d %H:%M}") for file in found],
    )
    return {"files": files, "may_go_bytes": sum(file.bytes for file in found)}
