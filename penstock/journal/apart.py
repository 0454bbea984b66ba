"""Making predictions again with code of before, in a process of its own: a process works for one project."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from penstock.journal.verdict import Verdict
from penstock.releases.code_archive import run_kept
from penstock.settings import BookName


class Order(msgspec.Struct, frozen=True):
    """Which predictions to make again, by the code in a folder, and from which book and stores."""

    folder: str
    book: BookName
    url: str
    artifacts: str
    cache: str
    snapshots: str
    ids: Sequence[str]


def replay_apart(order: Order) -> list[Verdict]:
    """The verdicts of a process that runs the code in the folder; PenstockError where that code does not run here."""
    todo = "Replay with --since after it, or install what that code needs."
    said = run_kept(Path(order.folder), "penstock.journal.replay_apart", order, todo)
    return msgspec.json.decode(said, type=list[Verdict])
