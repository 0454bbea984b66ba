"""What the service says about itself: models, readiness."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from penstock.artifact.fallback import Fallback
from penstock.serving.models.absent import AbsentModels
from penstock.serving.models.served_model import ReleaseRefusal, ServedModel
from penstock.serving.models.watcher import Watcher


class TableState(msgspec.Struct, frozen=True):
    """A replicated table as this replica reads it.

    - `age_s`: seconds since its content was extracted.
    - `in_postgres`: why it is looked up there and not in this replica's memory; empty if it is in memory.
    """

    table: str
    snapshot: str
    rows: int
    as_of: datetime
    published_at: datetime
    age_s: float
    in_memory: bool
    in_postgres: str


class ModelState(msgspec.Struct, frozen=True):
    """A model as this replica serves it.

    - `refused`: the book's current release if it cannot be served.
    - `explains`: whether its predictions can be explained.
    - `late`: why its last answers were given up, where they took too long.
    - `fallback`: the library that predicts where the artifact is not packed, and what a row of its last call cost.
    """

    model: str
    purpose: str
    ready: bool
    trouble: str
    release: int | None
    artifact: str | None
    contract: str
    tables: tuple[TableState, ...]
    refused: ReleaseRefusal | None
    explains: bool = False
    late: str = ""
    fallback: Fallback | None = None


class Readiness(msgspec.Struct, frozen=True):
    """Whether this replica can answer: its book answers, it has loaded what it can, and serves a model at least.

    - `trouble`: why this code does not work with the book.
    - `models`: model -> `ready`, or why it is not served. One that is not takes none of the others down.
    - `late`: model -> why its last answers were given up, where they took too long.
    - `refused`: model -> the book's current release where it cannot be served, why, and what is served instead.
    - `broken`: model -> the file of the project, line and cause for which it is not served. The others are.
    - `todo`: what to do where there is no model at all.
    - `serves`: what is served, where it is not the releases of a book.
    """

    ready: bool
    book: bool
    trouble: str
    models: Mapping[str, str]
    refused: Mapping[str, ReleaseRefusal]
    broken: Mapping[str, str] = {}
    todo: str = ""
    serves: str = ""
    late: Mapping[str, str] = {}


def model_state(model: ServedModel, now: datetime) -> ModelState:
    """One model's state."""
    return ModelState(
        model=model.contract.model,
        purpose=model.contract.purpose,
        ready=model.ready,
        trouble=model.trouble,
        release=model.release.number if model.release else None,
        artifact=model.release.digest if model.release else None,
        contract=model.contract_digest,
        tables=tuple(
            TableState(
                pointer.table,
                pointer.snapshot,
                pointer.rows,
                pointer.as_of,
                pointer.published_at,
                (now - pointer.as_of).total_seconds(),
                in_memory=why is None,
                in_postgres=why or "",
            )
            for pointer in model.pointers.values()
            for why in [model.tables.why_in_postgres(pointer.table)]
        ),
        refused=model.refused,
        explains=model.release is not None and model.release.artifact.explains,
        late=model.late,
        fallback=model.release.artifact.fallback if model.release else None,
    )


def contract_document(model: ServedModel) -> dict[str, Any]:
    """The contract of a model for readers: request schema, entity, lookups, features, output, policies."""
    contract = model.contract
    return {
        "request": msgspec.json.schema(contract.request),
        "entity": contract.entity,
        "lookups": contract.lookups,
        "features": contract.features,
        "output": contract.output,
        "unchanged": contract.unchanged,
        "journal": contract.journal,
    }


def readiness(models: Mapping[str, ServedModel], absent: AbsentModels, watcher: Watcher) -> Readiness:
    """The state behind /readyz."""
    served = any(model.ready for model in models.values())
    return Readiness(
        ready=watcher.connected and watcher.ready.is_set() and served,
        book=watcher.connected,
        trouble=watcher.trouble,
        models={name: model.trouble or "ready" for name, model in models.items()},
        refused={name: model.refused for name, model in models.items() if model.refused},
        broken=absent.broken,
        todo=absent.todo,
        serves=watcher.serves,
        late={name: model.late for name, model in models.items() if model.late},
    )
