"""Keys of any type are told apart, whatever their columns are made of."""

from typing import Any

import pyarrow as pa
import pytest

from penstock.scaffold.numbering import _places

KEYS = ["a", "b", None, "a", "b", "c"]


@pytest.mark.parametrize(
    "column",
    [
        pa.chunked_array([pa.array(KEYS)]),
        pa.chunked_array([pa.array(KEYS[:4]).dictionary_encode(), pa.array(KEYS[4:]).dictionary_encode()]),
    ],
    ids=["texts", "an enumeration"],
)
def test_each_key_has_a_number_of_its_own(column: "pa.ChunkedArray[Any]") -> None:
    numbers = _places([column]).tolist()
    assert len(set(numbers)) == 4
    assert (numbers[0], numbers[1]) == (numbers[3], numbers[4])
    both = _places([column, pa.chunked_array([pa.array([1, 1, 1, 2, 1, 1])])]).tolist()
    assert len(set(both)) == 5
    assert both[1] == both[4]
