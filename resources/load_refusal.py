"""What Postgres refused while a snapshot was loaded, said with the key of the row."""

import contextlib
import re
from collections.abc import Iterator

import psycopg

from resources.physical_table import PhysicalTable
from resources.publish_error import PublishError
from resources.snapshots import Snapshot

_REFUSALS = (psycopg.errors.DataError, psycopg.errors.IntegrityError, psycopg.errors.ProgramLimitExceeded)


@contextlib.contextmanager
def explained(physical: PhysicalTable) -> Iterator[None]:
    """Turn what Postgres refuses in the content into a PublishError; other errors pass unchanged."""
    try:
        yield
    except _REFUSALS as error:
        # Only with a column is the line that of the row: rows are stored in bulk, many lines after they were read.
        place = re.search(r"line (\d+), column ([^:\n]+)", error.diag.context or "")
        column = f"column {place[2]!r} of " if place else ""
        key = f" at key {_key_of_row(physical.source, int(place[1]) - 1)}" if place else ""
        raise PublishError(
            f"{column}table {physical.table!r}{key}",
            expected="what Postgres can hold",
            found=str(error.diag.message_primary or error),
            todo="Cast or clean it in the table's query; nothing was changed.",
        ) from error


def _key_of_row(snapshot: Snapshot, row: int) -> str:
    for batch in snapshot.batches():
        if row < batch.num_rows:
            return ", ".join(f"{name}={batch.column(name)[row]}" for name in snapshot.key)
        row -= batch.num_rows
    return "unknown"
