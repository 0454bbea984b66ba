"""A load error is shown without its frames, and with them where Dagster has moved its private names."""

import pytest

from penstock.errors import PenstockError
from penstock.graph import compat
from penstock.graph.code_location import one_sentence


def test_dagsters_private_names_are_there() -> None:
    shown = compat.error_without_frames(PenstockError("the river", found="dry"))
    assert type(shown).__name__ == "DagsterUserCodeProcessError", "dagster has moved it"
    assert "the river: found dry" in str(shown)


@pytest.mark.parametrize("name", ["ERRORS", "INFO"])
def test_without_one_of_them_the_error_itself_is_raised(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compat, name, "dagster._moved")
    with pytest.raises(PenstockError, match="the river: found dry"), one_sentence():
        raise PenstockError("the river", found="dry")
