import pandera.pandas as pa
import pyarrow
import pytest

from penstock.declare.shape import REAL, TEXT, WHOLE, ShapeError, described, shape_check

SHAPE = pa.DataFrameSchema(
    {"id": pa.Column(TEXT), "n": pa.Column(WHOLE, pa.Check.ge(0), nullable=True), "x": pa.Column(REAL)}, strict=True
)


def batch(ids: list[str | None], n: list[int | None], x: list[float]) -> pyarrow.RecordBatch:
    return pyarrow.record_batch({"id": ids, "n": pyarrow.array(n, pyarrow.int32()), "x": x})


def test_rows_of_the_shape_pass_with_nulls_where_they_may_be() -> None:
    shape_check(SHAPE, "t")(batch(["a", "b"], [1, None], [0.5, 1.5]))


def test_a_failing_value_is_named_with_its_row_in_the_whole_extract() -> None:
    check = shape_check(SHAPE, "orders")
    check(batch(["a", "b"], [1, 2], [0.5, 1.5]))

    with pytest.raises(
        ShapeError, match=r"shape of orders: expected .*'n'.*found 1 failing values, first -4 in row 3"
    ) as raised:
        check(batch(["c", "d"], [1, -4], [0.5, 1.5]))

    assert raised.value.failures.to_dict("records") == [
        {"column": "n", "check": "greater_than_or_equal_to(0)", "failure_case": -4, "index": 3}
    ]


def test_a_null_where_none_may_be_is_refused() -> None:
    with pytest.raises(ShapeError, match="not_nullable in column 'id'"):
        shape_check(SHAPE, "t")(batch([None], [1], [0.5]))


@pytest.mark.parametrize(
    ("columns", "named"),
    [
        ({"id": ["a"], "n": pyarrow.array([1], pyarrow.int32())}, "x"),
        ({"id": ["a"], "n": pyarrow.array([1], pyarrow.int32()), "x": [0.1], "extra": [1]}, "extra"),
        ({"id": ["a"], "n": ["1"], "x": [0.1]}, "n"),
    ],
)
def test_missing_extra_and_wrongly_typed_columns_are_refused_by_name(columns: dict[str, object], named: str) -> None:
    with pytest.raises(ShapeError, match=f"'?{named}'?"):
        shape_check(SHAPE, "t")(pyarrow.record_batch(columns))


def test_a_shape_is_described_for_people() -> None:
    assert described(SHAPE)[1] == {
        "column": "n",
        "type": "int32[pyarrow]",
        "nullable": True,
        "checks": "greater_than_or_equal_to(0)",
    }
