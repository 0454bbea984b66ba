"""Which files of the engine a reader walks through: those whose functions run while something is done."""

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import penstock

ENGINE = Path(penstock.__file__).parent


class Trace:
    """The files of the engine whose functions run while it is on, in this thread and in those that begin with it."""

    def __init__(self) -> None:
        self._calls: set[tuple[str, str]] = set()
        self._on = False

    def __call__(self, frame: Any, event: str, _: Any) -> None:
        path = frame.f_code.co_filename
        if self._on and event == "call" and path.startswith(str(ENGINE)):
            caller = frame.f_back
            while caller and not caller.f_code.co_filename.startswith(str(ENGINE)):  # such as contextlib
                caller = caller.f_back
            self._calls.add((caller.f_code.co_filename if caller else "", path))

    def of(self, do: Callable[[], Any]) -> set[str]:
        """The files of what is done."""
        self._calls, self._on = set(), True
        before = sys.getprofile()
        sys.setprofile(self)
        try:
            do()
        finally:
            sys.setprofile(before)
            self._on = False
        return self.of_rooms("")

    def of_rooms(self, *rooms: str) -> set[str]:
        """The files of what was done last in these rooms, and those of other rooms that these call."""
        within = tuple(f"{ENGINE / room}/" for room in rooms)
        found = {path for caller, path in self._calls if path.startswith(within) or caller.startswith(within)}
        return {str(Path(path).relative_to(ENGINE)) for path in found}

    def __enter__(self) -> "Trace":
        threading.setprofile(self)
        return self

    def __exit__(self, *_: object) -> None:
        threading.setprofile(None)
