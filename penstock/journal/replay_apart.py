"""The process that makes predictions again with code of before: `python -m penstock.journal.replay_apart`.

It reads an Order from its standard input, and writes verdicts to its standard output.
"""

import contextlib
import sys
from pathlib import Path

import msgspec

from penstock.contract.registry import read_contracts
from penstock.journal.apart import Order
from penstock.journal.replay import Replay
from penstock.postgres.book import Book
from penstock.project import find
from penstock.releases.artifacts import ArtifactStore


def main() -> None:
    """Make the predictions of standard input again. What the project's code prints goes to standard error."""
    out, order = sys.stdout, msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    with contextlib.redirect_stdout(sys.stderr):
        contracts = read_contracts(find()).by_model
        book, store = Book(order.book, order.url), ArtifactStore(order.artifacts)
        verdicts = list(Replay(book, contracts, store, Path(order.cache), order.snapshots).run(ids=order.ids))
    out.write(msgspec.json.encode(verdicts).decode())


if __name__ == "__main__":
    main()
