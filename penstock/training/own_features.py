"""What an artifact of another contract answers for held-out rows: by its own features, which the code computes that was
kept when it was trained. A process works for one project, so that code has one of its own.

`python -m penstock.training.own_features` reads an Order from its standard input.
"""

import contextlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import numpy as np
import pyarrow as pa

from penstock.artifact.load import load as load_artifact
from penstock.contract.registry import read_contracts
from penstock.errors import PenstockError
from penstock.project import find
from penstock.releases.code_archive import CodeArchive, run_kept
from penstock.snapshots.store import Snapshot, SnapshotStore
from penstock.training.frame import TableColumns, known_outcomes
from penstock.training.metrics import Values


class Order(msgspec.Struct, frozen=True):
    """Which rows to predict: those of a stored snapshot that have a value in every column of `demanded`.

    `artifact` is a file, and `answers` the NumPy file that is written; none where the rows lack columns.
    """

    model: str
    artifact: str
    snapshots: str
    snapshot: str
    demanded: Sequence[str]
    answers: str


@dataclass(frozen=True)
class KeptCode:
    """The code of earlier contracts beside the artifacts, unpacked in `cache`; the URLs of artifacts and of rows."""

    artifacts: str
    cache: Path
    snapshots: str

    def predictions(
        self, contract: str, model: str, artifact: Path, rows: Snapshot, demanded: Sequence[str]
    ) -> Values | None:
        """The predictions of an artifact, row by row, by the code of its contract. None where no code of that contract
        is kept, where it does not run here, or where the rows lack a column that it needs."""
        folder = CodeArchive(self.artifacts).fetch(contract, self.cache)
        if folder is None:
            return None
        with TemporaryDirectory() as place:
            answers = Path(place) / "answers.npy"
            order = Order(model, str(artifact), self.snapshots, rows.id, demanded, str(answers))
            try:
                run_kept(folder, __name__, order)
            except PenstockError:
                return None
            return np.load(answers, allow_pickle=False) if answers.exists() else None


def main() -> None:
    """Predict the rows of an order with the contract of the project that the process works for."""
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    with contextlib.redirect_stdout(sys.stderr):
        contract = read_contracts(find()).contract(order.model)
        rows = SnapshotStore(order.snapshots).open(order.snapshot)
        kinds = contract.input_kinds()
        wanted = list(dict.fromkeys([*kinds, *order.demanded]))
        if not set(wanted) <= set(rows.schema.names):
            return
        artifact, parts = load_artifact(Path(order.artifact)), []
        for batch in rows.batches(columns=wanted):
            table = pa.Table.from_batches([batch])
            if order.demanded:
                table = table.filter(known_outcomes(order.demanded, table))
            parts.append(artifact.predict(contract.vectors(TableColumns(table, kinds), table.num_rows)))
        if parts:
            np.save(order.answers, np.concatenate(parts))


if __name__ == "__main__":
    main()
