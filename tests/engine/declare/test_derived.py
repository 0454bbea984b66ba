"""What of a project's declarations is derived: shapes, the tables of lookups, and which lookups read a table."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pyarrow as pa
import pytest

from penstock.contract.contract import Contract, Feature, Lookup, Output
from penstock.contract.features import numbers, texts
from penstock.declare.connections import unused
from penstock.declare.derived_shape import table_shape, training_shape
from penstock.declare.discovery import declared
from penstock.declare.lookup_tables import lookup_tables
from penstock.declare.shape import ShapeError, shape_check
from penstock.errors import PenstockError
from penstock.project import containing
from tests.engine.declare.churn_project import write_churn
from tests.engine.projects import run_in


class Ask(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    account: Annotated[int, msgspec.Meta(ge=0)]
    plan: Literal["basic", "pro"]
    fee: Annotated[float, msgspec.Meta(ge=0, le=100)] | None = None
    asked_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


LOOKUPS = (
    Lookup("sites", key={"site": "plan"}, columns=(*numbers("area"), *texts("kind"))),
    Lookup("past", key={"account": "account"}, columns=numbers("visits"), as_of=("known_at", "asked_at")),
)
CONTRACT = Contract(
    model="m",
    purpose="",
    request=Ask,
    entity=("account",),
    lookups=LOOKUPS,
    features=(Feature("fee", "number"),),
    compute=lambda columns: {"fee": columns["fee"]},
    output=Output("y", "classifier"),
)
ROWS: dict[str, Any] = {
    "account": pa.array([1, 2]),
    "plan": pa.array(["basic", "pro"]),
    "fee": pa.array([1.5, None]),
    "asked_at": pa.array([datetime(2026, 1, 1), datetime(2026, 1, 2)], pa.timestamp("us", "UTC")),
    "y": pa.array([True, False]),
    "sites.area": pa.array([1, None], pa.int16()),
    "sites.kind": pa.array(["a", None]),
    "past.visits": pa.array([True, None]),
    "unused": pa.array([1, 2]),
}


def check(rows: dict[str, Any]) -> None:
    shape_check(training_shape(CONTRACT, {"y": False}), "rows")(pa.RecordBatch.from_pydict(rows))


def test_rows_that_the_contract_accepts_have_the_derived_shape() -> None:
    check(ROWS)
    check(ROWS | {"fee": pa.array([1, 2]), "sites.area": pa.nulls(2, pa.float64())})


@pytest.mark.parametrize(
    ("column", "values", "said"),
    [
        ("account", ["1", "2"], "whole numbers in column 'account'"),
        ("account", [1.0, 2.0], "whole numbers in column 'account'"),
        ("account", [-1, 2], "greater_than_or_equal_to.*'account', found 1 failing values, first -1 in row 0"),
        ("account", [None, 2], "not_nullable in column 'account'"),
        ("plan", ["basic", "gold"], "isin.*'plan'.*'gold' in row 1"),
        ("plan", [None, "pro"], "not_nullable in column 'plan'"),
        ("fee", [101.0, 2.0], "less_than_or_equal_to.*'fee'"),
        ("y", [None, True], "not_nullable in column 'y'"),
        ("sites.kind", [1, 2], "texts in column 'sites.kind'"),
        ("past.visits", ["a", "b"], "numbers in column 'past.visits'"),
    ],
)
def test_rows_that_it_would_refuse_have_not(column: str, values: list[Any], said: str) -> None:
    with pytest.raises(ShapeError, match=said):
        check(ROWS | {column: pa.array(values)})


def test_a_wrong_type_is_said_beside_a_wrong_value() -> None:
    with pytest.raises(ShapeError, match=r"expected texts in column 'sites.kind'(;|\.)"):
        check(ROWS | {"sites.kind": pa.array([1, 2])})
    with pytest.raises(ShapeError, match=r"(?s)'fee'.*'sites.kind'|'sites.kind'.*'fee'"):
        check(ROWS | {"fee": pa.array([101.0, 2.0]), "sites.kind": pa.array([1, 2])})


def test_of_a_wrong_type_the_bounds_are_not_said_too() -> None:
    with pytest.raises(ShapeError) as refused:
        check(ROWS | {"fee": pa.array(["a", "b"])})
    assert "expected numbers in column 'fee'. Correct" in str(refused.value)


def test_a_table_has_a_key_without_nulls_the_kinds_of_its_lookups_and_bounds() -> None:
    shape = shape_check(table_shape(("site",), LOOKUPS[:1], {"area": (0, 10)}), "sites")
    good = {"site": pa.array(["s"]), "area": pa.array([3]), "kind": pa.array(["a"])}
    shape(pa.RecordBatch.from_pydict(good))
    for change in ({"site": pa.array([None], pa.string())}, {"area": pa.array([11])}, {"kind": pa.array([1])}):
        with pytest.raises(ShapeError, match=next(iter(change))):
            shape(pa.RecordBatch.from_pydict(good | change))


def test_the_tables_of_lookups_are_those_whose_query_is_there(tmp_path: Path) -> None:
    (tmp_path / "past.sql").write_text("SELECT 1")
    with pytest.raises(
        PenstockError, match=r"bounds of lookup_tables '\w+': expected a dict of texts to pairs of numbers"
    ):
        lookup_tables(CONTRACT, tmp_path, bounds=[("past.visits", 0, 9)])  # type: ignore[arg-type]
    (table,) = lookup_tables(CONTRACT, tmp_path, minimum_rows={"past": 5}, bounds={"past.visits": (0, 9)})
    assert (table.name, table.key, table.after) == ("past", ("account", "known_at"), ("warehouse/past",))
    assert (table.minimum_rows, table.bounds, table.lookups) == (5, {"visits": (0, 9)}, (LOOKUPS[1],))
    with pytest.raises(PenstockError, match=r"a query in .*: past, found 'sites'"):
        lookup_tables(CONTRACT, tmp_path, minimum_rows={"sites": 5})
    (tmp_path / "sites.sql").write_text("SELECT 1")
    with pytest.raises(
        PenstockError, match=r"bounds of table 'sites': expected columns of numbers, found 'kind', a text"
    ):
        lookup_tables(CONTRACT, tmp_path, bounds={"sites.kind": (0, 9)})


SHOWN = "from penstock.declare.discovery import declared; print(*declared().tables['products'].lookups, sep=chr(10))"


@pytest.mark.slow
def test_the_lookups_of_a_table_are_those_of_all_contracts(tmp_path: Path) -> None:
    root = write_churn(tmp_path, ("", ""))
    second = (root / "model_tools" / "churn.py").read_text().replace('model="churn"', 'model="second"')
    (root / "model_tools" / "second.py").write_text(second.replace('name="product"', 'name="other"'))
    shown = run_in(root, "-c", SHOWN).stdout.splitlines()
    assert [line.split(",")[0] for line in shown] == ["Lookup(name='product'", "Lookup(name='other'"]


TWICE = "from penstock.declare.discovery import declared; declared().whole()"


@pytest.mark.slow
def test_a_table_that_two_files_declare_is_said(tmp_path: Path) -> None:
    root = write_churn(tmp_path, ("", ""))
    text = (root / "assets" / "churn.py").read_text()
    (root / "assets" / "second.py").write_text(text[: text.index("MODEL = ")])
    said = run_in(root, "-c", TWICE).stderr
    assert "ReplicatedTable 'products': expected one, found a second in assets/second.py" in said


def test_what_nothing_names_is_said() -> None:
    found = declared(containing(Path(__file__)))
    assert "flight_delay" in found.models
    assert unused(found) == []
