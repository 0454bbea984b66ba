"""How a step fails: a transient database error is tried again; a PenstockError is not, and is shown with its parts."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
import psycopg
import sqlalchemy as sa

from penstock.declare.shape import ShapeError
from penstock.errors import PenstockError
from penstock.graph.evidence import failing_rows

TRIES = 3
SECONDS_BETWEEN = 5


@contextmanager
def faults() -> Iterator[None]:
    """Turn the errors of a step into Dagster's requests to retry, or into failures."""
    try:
        yield
    except (sa.exc.OperationalError, sa.exc.InterfaceError, psycopg.OperationalError) as error:
        raise dg.RetryRequested(max_retries=TRIES, seconds_to_wait=SECONDS_BETWEEN) from error
    except ShapeError as error:
        raise dg.Failure(str(error), metadata=failing_rows(error), allow_retries=False) from error
    except PenstockError as error:
        raise dg.Failure(
            description=str(error),
            metadata={
                name: value
                for name, value in (
                    ("thing", error.thing),
                    ("expected", error.expected),
                    ("found", error.found),
                    ("next", error.todo),
                )
                if value
            },
            allow_retries=False,
        ) from error
