"""The training join is SQL that every warehouse plans: parsed in its dialect, without what Redshift refuses."""

from datetime import timedelta

import pytest
import sqlglot
from sqlglot import exp

from penstock.declare.discovery import declared
from penstock.errors import ContractError
from penstock.extract.training_join import training_query

MODEL = declared().models["flight_delay"]
TABLES = {table.name: table.query for table in declared().tables.values()}
DIALECTS = ("postgres", "redshift", "snowflake", "bigquery", "trino", "databricks", "clickhouse")


@pytest.fixture(params=[None, timedelta(hours=6, microseconds=1)], ids=["any age", "max age"])
def query(request: pytest.FixtureRequest) -> str:
    import msgspec

    lookups = tuple(
        msgspec.structs.replace(lookup, max_age=request.param if lookup.as_of else None)
        for lookup in MODEL.contract.lookups
    )
    contract = msgspec.structs.replace(MODEL.contract, lookups=lookups)
    base = "SELECT * FROM flights"
    tables = {name: f"SELECT * FROM {name}" for name in TABLES}
    assert sum(lookup.as_of is not None for lookup in lookups) >= 3
    return training_query(contract, base, tables, "redshift")


def test_it_holds_nothing_that_runs_once_per_row(query: str) -> None:
    """https://docs.aws.amazon.com/redshift/latest/dg/c_unsupported-postgresql-features.html, and its page on
    correlated subqueries."""
    tree = sqlglot.parse_one(query, dialect="redshift")
    assert not list(tree.find_all(exp.Lateral))
    assert [one.args.get("on") for one in tree.find_all(exp.Distinct)] == [None] * sum(
        lookup.as_of is not None for lookup in MODEL.contract.lookups
    )
    joins = list(tree.find_all(exp.Join))
    assert len(joins) > len(MODEL.contract.lookups)
    for join in joins:
        assert join.side == "LEFT"
        assert list(join.args["on"].find_all(exp.EQ))
    selects = {id(one) for one in tree.find_all(exp.Subquery)}
    in_conditions = [one for join in joins for one in join.args["on"].find_all(exp.Subquery)]
    assert selects
    assert in_conditions == []


def test_every_window_has_the_frame_that_redshift_asks_for(query: str) -> None:
    windows = list(sqlglot.parse_one(query, dialect="redshift").find_all(exp.Window))
    assert windows
    for window in windows:
        assert window.args["spec"].args["kind"] == "ROWS"
        assert window.args["spec"].args["start"] == "UNBOUNDED"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_it_can_be_written_in_every_dialect(query: str, dialect: str) -> None:
    tree = sqlglot.parse_one(query)
    written = tree.sql(dialect=dialect, unsupported_level=sqlglot.ErrorLevel.RAISE)
    again = sqlglot.parse_one(written, dialect=dialect)
    assert len(list(again.find_all(exp.Window))) == len(list(tree.find_all(exp.Window))) > 0


def test_a_name_that_the_warehouse_would_cut_off_is_refused_there() -> None:
    import msgspec

    first, *others = MODEL.contract.lookups
    long = msgspec.structs.replace(first, name="what_was_known_of_it_on_the_day_before_the_one_when_it_is_as")
    contract = msgspec.structs.replace(MODEL.contract, lookups=(long, *others))
    tables = {name: f"SELECT * FROM {name}" for name in TABLES}
    with pytest.raises(
        ContractError, match=r"of at most 63 bytes.* found 'what_was_known\S+\.\S+' of \d\d.* a shorter name"
    ):
        training_query(contract, "SELECT 1 AS id", tables, "postgresql")
    for dialect in ("duckdb", "clickhouse", "redshift"):
        assert long.column_names()[0] in training_query(contract, "SELECT 1 AS id", tables, dialect)
