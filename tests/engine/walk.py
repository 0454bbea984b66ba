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
        self.files: set[str] = set()
        self._on = False

    def __call__(self, frame: Any, event: str, _: Any) -> None:
        path = frame.f_code.co_filename
        if self._on and event == "call" and path.startswith(str(ENGINE)):
            self.files.add(str(Path(path).relative_to(ENGINE)))

    def of(self, do: Callable[[], Any]) -> set[str]:
        """The files of what is done."""
        self.files, self._on = set(), True
        before = sys.getprofile()
        sys.setprofile(self)
        try:
            do()
        finally:
            sys.setprofile(before)
            self._on = False
        return self.files

    def __enter__(self) -> "Trace":
        threading.setprofile(self)
        return self

    def __exit__(self, *_: object) -> None:
        threading.setprofile(None)
