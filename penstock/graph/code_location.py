"""What Dagster's code server loads: the project's definitions, and instead of a failure's frames one sentence each."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from penstock.errors import PenstockError
from penstock.graph.compat import error_without_frames
from penstock.importing import import_module
from penstock.project import DEFINITIONS, find


def definitions() -> dg.Definitions:
    """The one `Definitions` of this process's project, as its assets/definitions.py declares it."""
    with one_sentence():
        module = import_module(find(), DEFINITIONS)
        found = [name for name, value in vars(module).items() if isinstance(value, dg.Definitions)]
        if len(found) != 1:
            expected, todo = "one dg.Definitions", "Join several with dg.Definitions.merge."
            raise PenstockError(DEFINITIONS, expected=expected, found=", ".join(found) or "none", todo=todo)
        declared: dg.Definitions = vars(module)[found[0]]
        return declared


@contextmanager
def one_sentence() -> Iterator[None]:
    """Let Dagster show a PenstockError as the load error by its own words, without the frames that led there."""
    try:
        yield
    except PenstockError as error:
        raise error_without_frames(error) from error
