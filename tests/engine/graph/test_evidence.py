"""Tables of rows as Dagster's UI shows them."""

import json
from datetime import UTC, datetime

import pandas as pd
import pytest

from penstock.declare.shape import ShapeError
from penstock.graph.evidence import as_table, failing_rows

AT = datetime(2026, 1, 1, tzinfo=UTC)


def test_each_column_has_its_name_and_the_type_of_its_cells() -> None:
    rows = [("a|b", 1, 0.5, True, AT, None), ("<b>", 2, 3, False, AT, None)]
    shown = as_table(("text", "whole", "number", "flag", "time", "empty"), rows)

    types = {column.name: column.type for column in shown.schema.columns}
    assert types == {
        "text": "string",
        "whole": "int",
        "number": "float",
        "flag": "bool",
        "time": "string",
        "empty": "string",
    }
    assert shown.records[0].data == {
        "text": "a|b",
        "whole": 1,
        "number": 0.5,
        "flag": True,
        "time": "2026-01-01 00:00:00+00:00",
        "empty": None,
    }


def test_a_table_without_rows_still_shows_its_columns() -> None:
    shown = as_table(("book", "bytes"), [])

    assert shown.records == []
    assert [column.name for column in shown.schema.columns] == ["book", "bytes"]


def test_every_row_is_json_that_a_browser_reads_and_small_numbers_stay_numbers() -> None:
    shown = as_table(("value",), [(float("nan"),), (float("inf"),), (1.23456789e-16,), (1234.56789,)])

    read = [json.loads(json.dumps(record.data, allow_nan=False))["value"] for record in shown.records]
    assert read == [None, None, 1.23457e-16, 1234.57]
    assert [column.type for column in shown.schema.columns] == ["float"]


def test_a_row_of_another_length_than_the_header_is_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        as_table(("one",), [(1, 2)])


def test_rows_that_fail_the_shape_are_shown_with_the_values_that_fail() -> None:
    failures = pd.DataFrame(
        {"column": ["lat", "lat"], "check": ["<= 90", "<= 90"], "failure_case": [991.0, float("nan")], "index": [3, 4]}
    )

    shown = failing_rows(ShapeError("airports", failures))

    assert shown["failing_values"].value == 2
    assert [record.data for record in shown["failing_rows"].value.records] == [
        {"column": "lat", "check": "<= 90", "failure_case": 991.0, "index": 3},
        {"column": "lat", "check": "<= 90", "failure_case": None, "index": 4},
    ]
