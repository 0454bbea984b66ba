"""How a long command shows its steps: a live line each on a terminal, plain lines elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn


class Step:
    """One step that is under way. Its closing line says `done`."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task = progress, task
        self.done = ""

    def show(self, doing: str, count: int = 0, of: int = 0) -> None:
        """Show what the step does now, and how far it is if that is known."""
        self._progress.update(self._task, doing=escape(doing), completed=count, total=of or None)


class Steps:
    """The steps of one command; several may be under way at once, each in its own thread."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._live = console.is_terminal
        bar = BarColumn(bar_width=24)
        columns = (SpinnerColumn(), TextColumn("{task.description:<18}"), bar, TimeElapsedColumn())
        self._progress = Progress(*columns, TextColumn("[dim]{task.fields[doing]}"), console=console, transient=True)
        self._progress.disable = not self._live

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """A step that ends with one line: its name, what it did, and how long it took."""
        task = self._progress.add_task(name, doing="", total=None)
        started = time.monotonic()
        step = Step(self._progress, task)
        mark = "[red]✗[/]"
        try:
            yield step
            mark = "[green]✓[/]"
        finally:
            self._progress.remove_task(task)
            self._progress.refresh()
            took = f"{time.monotonic() - started:6.1f} s"
            self.console.print(f"{mark} {name:<18} {took}  {escape(step.done)}", highlight=False, soft_wrap=True)
