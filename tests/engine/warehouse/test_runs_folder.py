"""A sort that was killed leaves its runs, and the next one removes them."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from penstock.warehouse.runs_folder import runs_folder
from penstock.warehouse.sorting import sorted_rows
from tests.checkout import ROOT
from tests.engine.publishing import numbered

SORT = """
import sys
from penstock.warehouse.sorting import sorted_rows
from tests.engine.publishing import numbered

with sorted_rows(numbered(5_000).to_reader(7), ("key",)) as ordered:
    ordered.read_next_batch()
    print("sorted", flush=True)
    sys.stdin.read()
"""


@pytest.mark.slow
def test_the_runs_of_a_killed_sort_go_with_the_next_one_and_those_of_a_living_one_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    command = [sys.executable, "-c", SORT]
    sorts = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) for _ in range(2)
    ]
    killed, living = sorts
    try:
        for sort in sorts:
            assert sort.stdout is not None
            assert sort.stdout.readline() == "sorted\n"
        assert len(list(tmp_path.glob("penstock-sort-*/*.arrow"))) == 2
        killed.kill()
        killed.wait()
        table = numbered(50)
        with sorted_rows(table.to_reader(), ("key",)) as ordered:
            assert ordered.read_all().equals(table)
        [left] = tmp_path.iterdir()
        assert len(list(left.glob("*.arrow"))) == 1
        living.communicate()
        assert living.returncode == 0
        assert list(tmp_path.iterdir()) == []
    finally:
        for sort in sorts:
            sort.kill()
            sort.wait()


def test_a_folder_goes_whatever_happens_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def fail() -> None:
        with runs_folder() as folder:
            (folder / "0.arrow").write_bytes(b"rows")
            raise ValueError("no room")

    with pytest.raises(ValueError, match="no room"):
        fail()
    assert list(tmp_path.iterdir()) == []
