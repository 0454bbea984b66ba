"""Quantities in words: how many of a thing, and measured values that read as what they are."""

import pytest

from penstock.quantity import counted, measured


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 rows"), (1, "1 row"), (2, "2 rows"), (1_500, "1,500 rows"), (-1, "-1 rows")]
)
def test_one_of_a_thing_is_singular(count: int, text: str) -> None:
    assert counted(count, "row") == text
    assert counted(1, "entry", plural="entries") == "1 entry"
    assert counted(2, "entry", plural="entries") == "2 entries"


@pytest.mark.parametrize(
    ("value", "beside", "text"),
    [
        (1.0, (), "1.0000"),
        (0.0, (), "0.0000"),
        (0.99997, (), "0.99997"),
        (0.999999999, (), "0.999999999"),
        (0.00002, (), "0.00002"),
        (3e-9, (), "0.000000003"),
        (1e-30, (), "1e-30"),
        (0.63999999, (0.64,), "0.63999999"),
        (0.64, (0.64,), "0.6400"),
        (12.5, (12.50001,), "12.50000"),
        (float("nan"), (0.5,), "nan"),
    ],
)
def test_a_value_has_digits_enough_to_differ_from_what_it_is_not(
    value: float, beside: tuple[float, ...], text: str
) -> None:
    assert measured(value, *beside) == text
