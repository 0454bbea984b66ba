"""Making predictions again with code of before, in a process of its own: a process works for one project."""

import os
import subprocess
import sys
from collections.abc import Sequence

import msgspec

from penstock.errors import PenstockError
from penstock.journal.verdict import Verdict
from penstock.log_text import cause
from penstock.settings import PROJECT, BookName


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
    done = subprocess.run(
        [sys.executable, "-m", "penstock.journal.replay_apart"],
        cwd=order.folder,
        env=os.environ | {PROJECT: order.folder},
        input=msgspec.json.encode(order),
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise PenstockError(
            f"replay with the code in {order.folder}",
            expected="code that runs with the packages that are installed",
            found=cause(done.stderr.decode(errors="replace")),
            todo="Replay with --since after it, or install what that code needs.",
        )
    return msgspec.json.decode(done.stdout, type=list[Verdict])
