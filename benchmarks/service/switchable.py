"""The product's deployment with one thing more: while a file stands in its home, nothing is journaled."""

import asyncio
from collections.abc import Sequence
from typing import Any

from ray import serve
from ray.serve import Application

from benchmarks.service.files import UNJOURNALED
from penstock import settings
from penstock.journal import writing
from penstock.journal.writing import NewEntries
from penstock.serving.deployment import Predictions

LOOK_SECONDS = 0.2

Product: Any = Predictions.func_or_class  # type: ignore[attr-defined]  # a Deployment


@serve.deployment(name="Predictions")
class Switchable(Product):  # type: ignore[misc]
    """One replica, whose journal can be switched off from outside."""

    async def __init__(self, book: str) -> None:  # type: ignore[misc]  # Ray awaits it
        await super().__init__(book)
        self._watching = asyncio.create_task(_watch())


async def _watch() -> None:
    off = settings.load().home / UNJOURNALED
    write = writing.write
    while True:
        vars(writing)["write"] = _forget if off.exists() else write
        await asyncio.sleep(LOOK_SECONDS)


async def _forget(_: Any, __: str, ___: Any, ____: int, entries: NewEntries, *seen: Sequence[Any]) -> list[Any]:
    """Writes nothing, and returns what the statements of `penstock.journal.writing` do when all is well."""
    return [digests[:1] for digests in entries.digests] if seen else []


def build(args: dict[str, Any]) -> Application:
    """What the benchmark's serve config names."""
    application: Application = Switchable.bind(args.get("book", "prod"))
    return application
