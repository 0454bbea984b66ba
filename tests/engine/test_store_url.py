"""Where a store is, and what is said of a place that can be none."""

from pathlib import Path

import pytest

from penstock.errors import PenstockError
from penstock.store_url import open_store


@pytest.mark.parametrize("below", ["", "/deeper"])
def test_a_file_where_the_folder_should_be_is_refused_in_a_sentence(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PenstockError, match=r"expected a folder, found a file, there or above. Correct PENSTOCK_"):
        open_store(f"{tmp_path}/file{below}")


def test_a_folder_that_is_not_there_yet_is_a_store(tmp_path: Path) -> None:
    assert open_store(str(tmp_path / "new"))[1] == str(tmp_path / "new")
