"""Models that are not served: those that nothing declares, and those whose file does not import."""

from collections.abc import Collection, Iterable

from penstock.importing import BrokenFile
from penstock.project import NO_MODEL
from penstock.serving.http.problems import Problem, unavailable


class AbsentModels:
    """What to say where a model is asked for that is not among the served ones.

    A model has the name of its file, so a file that does not import makes the model of that name unavailable.
    """

    def __init__(self, served: Collection[str], broken: Iterable[BrokenFile] = ()) -> None:
        self.broken = {one.module.rpartition(".")[2]: str(one) for one in broken}
        self.todo = "" if served or self.broken else NO_MODEL
        self._served = served

    def problem(self, name: str) -> Problem:
        """The answer to a request about a model that is not served."""
        if name in self.broken:
            return unavailable("broken-file", f"Model {name!r} is not served: {self.broken[name]}", 5)
        if self.todo:
            return unavailable("no-model", self.todo, 5)
        known = ", ".join(self._served) or "(none)"
        return Problem(404, "no-such-model", f"model: expected one of {known}, found {name[:200]!r}")
