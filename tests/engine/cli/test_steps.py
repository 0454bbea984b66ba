import io
import re
import threading
from pathlib import Path

import pytest
from rich.console import Console

from penstock.cli.steps import Steps


@pytest.mark.parametrize("terminal", [False, True])
def test_a_step_ends_with_its_name_its_time_and_what_it_did(terminal: bool) -> None:
    output = io.StringIO()
    with Steps(Console(file=output, force_terminal=terminal, width=120)) as steps, steps.step("Warehouse") as step:
        step.show("half [of] it", 1, 2)
        step.done = "3 rows [today]"
    assert re.search(r"✓\S* Warehouse +0\.0 s  3 rows \[today\]", output.getvalue())


def test_a_step_that_fails_says_so_and_passes_the_error_on() -> None:
    output = io.StringIO()
    with Steps(Console(file=output)) as steps, pytest.raises(ValueError, match="no"), steps.step("Postgres"):
        raise ValueError("no")
    assert output.getvalue().startswith("✗ Postgres")


def test_steps_in_threads_each_get_a_whole_line(tmp_path: Path) -> None:
    with (tmp_path / "output").open("w+") as output:
        with Steps(Console(file=output)) as steps:

            def work(name: str) -> None:
                with steps.step(name) as step:
                    step.done = "done"

            threads = [threading.Thread(target=work, args=(f"step{n}",)) for n in range(20)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        output.seek(0)
        lines = output.read().splitlines()
    assert len(lines) == 20
    assert all(re.fullmatch(r"✓ step\d+ +\d+\.\d s  done", line) for line in lines)
