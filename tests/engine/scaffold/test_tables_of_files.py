"""`penstock new` on what files leave in a warehouse: texts for missing values, years and days as numbers."""

from pathlib import Path

import click.testing
import duckdb
import pytest

from penstock.scaffold.new_command import new
from tests.engine.scaffold.cases import ROWS, New

pytestmark = pytest.mark.slow

MISSING = "CASE WHEN i % 50 = 0 THEN 'NA' ELSE"


def test_texts_that_stand_for_a_missing_value_are_said(new_model: New) -> None:
    made = new_model(
        f"{MISSING} (i % 90)::VARCHAR END AS weight, {MISSING} ['m', 'f'][1 + i % 2] END AS sex,"
        f" {MISSING} i::VARCHAR END AS budget, i % 7 AS n, CASE WHEN i % 9 = 0 THEN '' ELSE 'a' END AS class",
    )
    assert made.exit_code == 0
    assert "'NA' in weight make texts of numbers; where nothing is known by it" in made.output
    assert "CAST(NULLIF(\"weight\", 'NA') AS DOUBLE PRECISION)" in made.output
    assert "'', 'NA' in sex, class are texts like any other" in made.output
    assert "says NULLIF(\"sex\", 'NA'), or the file is loaded so (read_csv(…, nullstr = …) in DuckDB)" in made.output
    assert "cast them in a query (--from QUERY.sql), such as CAST(NULLIF(\"budget\", 'NA') AS" in made.output


@pytest.mark.parametrize(
    ("column", "options", "said"),
    [
        (f"{MISSING} i::VARCHAR END", (), "at most 50 classes, found texts, of which most are numbers: cast them"),
        (
            f"{MISSING} i::VARCHAR END",
            ("--kind", "regressor"),
            "such as CAST(NULLIF(\"score\", 'NA') AS DOUBLE PRECISION)",
        ),
        (
            "'k' || i % 70",
            (),
            "at most 50 classes, found 70; a query (--from QUERY.sql) can put the rare ones together",
        ),
    ],
)
def test_an_outcome_of_texts_that_are_numbers_is_to_be_cast(
    new_model: New, column: str, options: tuple[str, ...], said: str
) -> None:
    refused = new_model(f"{column} AS score", *ROWS[:3], "score", *ROWS[4:], *options)
    assert said in str(refused.exception)


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (f"{MISSING} '2026-11-01' END", "CAST(NULLIF(\"at\", 'NA') AS TIMESTAMP) in DuckDB and Postgres"),
        (
            "'Nov 1 2026'",
            "strptime(\"at\", '%d.%m.%Y') in DuckDB or to_timestamp(\"at\", 'DD.MM.YYYY') in Postgres, with the",
        ),
        (
            "'01.02.2026 17:05'",
            "strptime(\"at\", '%d.%m.%Y %H:%M') in DuckDB or to_timestamp(\"at\", 'DD.MM.YYYY HH24:MI')",
        ),
        ("'2/13/26'", "strptime(\"at\", '%m/%d/%y') in DuckDB or to_timestamp(\"at\", 'MM/DD/YY')"),
        (f"{MISSING} '2026.02.13' END", "strptime(NULLIF(\"at\", 'NA'), '%Y.%m.%d') in DuckDB"),
        ("2020 + i % 5", 'make_date(CAST(floor("at") AS INT), 1, 1) in DuckDB and Postgres, the first day of a year'),
        ("20261101 + i % 20", "strptime(CAST(\"at\" AS VARCHAR), '%Y%m%d') in DuckDB"),
    ],
)
def test_what_says_a_time_is_made_one_by_sql_that_runs(new_model: New, column: str, said: str) -> None:
    refused = new_model(f"{column} AS at", *ROWS[:7], "at")
    assert said in str(refused.exception)
    sql = str(refused.exception).partition("such as ")[2].partition(" in DuckDB")[0]
    sql = sql.replace("%d.%m.%Y'", "%b %d %Y'")
    with duckdb.connect(".penstock/warehouse.duckdb") as warehouse:
        assert warehouse.execute(f"SELECT max(year({sql})) FROM cases").fetchone() in {(2026,), (2024,)}


def test_rows_about_one_thing_alone_are_told_how_to_name_it(new_model: New) -> None:
    refused = new_model("(2000 + i)::VARCHAR AS at", *ROWS[:5], "at", "--asked-at", "at")
    assert "--key at: it is the asking time; name what is asked about; where all rows are about one" in str(
        refused.exception
    )
    assert "--asked-at at: expected a date or a time, found string" in str(refused.exception)
    Path("rows.sql").write_text("SELECT 'all' AS series, asked, y, id FROM cases")
    options = ("--from", "rows.sql", "--outcome", "y", "--key", "series", "--asked-at", "asked")
    assert click.testing.CliRunner().invoke(new, ["m", *options]).exit_code == 0


def test_a_rare_class_makes_the_window_longer(new_model: New) -> None:
    rare = "CASE WHEN i = 20 THEN 'rare' WHEN i % 2 = 0 THEN 'even' ELSE 'odd' END AS kind, i % 7 AS n"
    made = new_model(rare, *ROWS[:3], "kind", *ROWS[4:], "--every", "day")
    assert made.exit_code == 0
    assert "123 days before it are trained on" in made.output


def test_few_rows_make_the_window_longer_and_one_held_out_row_is_judged_by_its_error(new_model: New) -> None:
    monthly = "SELECT 'all' AS series, TIMESTAMP '2016-01-01' + INTERVAL (i) MONTH AS asked, 100.0 + i AS sold,"
    Path("rows.sql").write_text(f"{monthly} i % 12 AS season, i AS n FROM range(120) t(i)")
    options = ("--from", "rows.sql", "--outcome", "sold", "--key", "series", "--asked-at", "asked")
    made = new_model("i AS unused", *options)
    assert made.exit_code == 0
    assert "119 months before it are trained on" in made.output
    assert "Gate: mae of at most 59.4 (the base rate has 60.0)." in made.output
    assert 'gate=GateRule(metric="mae", floor=59.4, margin=0.6, minimum_rows=1),' in Path("assets/m.py").read_text()


def test_a_last_period_of_one_class_is_refused_with_what_to_do(new_model: New) -> None:
    refused = new_model("i % 7 AS n", script="UPDATE cases SET y = false WHERE asked >= TIMESTAMP '2026-08-20'")
    todo = "leave out the rows from 2026-09-01 on with a query (--from QUERY.sql)"
    assert f"in 2026-09, the month to judge by: expected both classes, found only 'false'; {todo}" in str(
        refused.exception
    )
    Path("rows.sql").write_text("SELECT * FROM cases WHERE asked < TIMESTAMP '2026-09-01'")
    assert click.testing.CliRunner().invoke(new, ["m", "--from", "rows.sql", *ROWS[2:]]).exit_code == 0


def test_months_of_any_century_are_held_out_and_weeks_from_1900_on(new_model: New) -> None:
    made = new_model(
        "i % 7 AS n", script="UPDATE cases SET asked = TIMESTAMP '1790-01-01' + INTERVAL (id * 8) DAY, y = id % 2 = 0"
    )
    assert made.exit_code == 0
    assert "Trained every month: 1794-06 to 1822-10 can be held out; 53 months before it are trained on" in made.output
    old = Path("rows.sql")
    for years, every, said in (
        (0, "week", "expected one of 1900 or later to judge by, found 1789-W53 to 1822-W44; say --every month, or"),
        (1000, "month", "expected one of 1000 or later to judge by, found 790-01 to 822-10; where the times are right"),
    ):
        old.write_text(f"SELECT * REPLACE (asked - INTERVAL {years} YEAR AS asked) FROM cases")
        refused = click.testing.CliRunner().invoke(new, ["old", "--from", "rows.sql", *ROWS[2:], "--every", every])
        assert said in str(refused.exception)


@pytest.mark.parametrize("more", ["", ", 'a' || s % 3 AS area"])
def test_many_columns_of_a_table_are_laid_out_as_the_formatter_would(new_model: New, more: str) -> None:
    columns = ", ".join(f"s % {n + 2} AS a_measurement_{n}" for n in range(12))
    script = f"CREATE TABLE weather AS SELECT 's' || s AS station, {columns}{more} FROM range(40) t(s)"
    assert new_model("'s' || i % 40 AS station", *ROWS, "--lookup", "weather", script=script).exit_code == 0


def test_what_numbers_the_rows_is_no_feature_and_said(new_model: New) -> None:
    made = new_model(
        "i + 7 AS line, (i + i // 3)::DOUBLE AS gaps, i % 1499 AS twice, i * 7919 % 1009 AS amount, i % 7 AS n",
        *ROWS,
        "--lookup",
        "news:n=n@known",
        "--lookup",
        "ranks",
        script="CREATE TABLE news AS SELECT i AS story, i % 7 AS n, TIMESTAMP '2026-01-01' + INTERVAL (i) DAY AS known,"
        " i % 5 AS stars FROM range(90) t(i); CREATE TABLE ranks AS SELECT i AS n, 99 - i AS rank FROM range(60) t(i)",
    )
    assert made.exit_code == 0
    assert "Request: id, twice, amount, n." in made.output
    assert "left out line: it numbers the rows, each has another of 7 to 1,506" in made.output
    assert "left out gaps: it numbers the rows, each has another of 0.0 to 1,998.0" in made.output
    assert "left out news.story: it numbers the rows" in made.output
    assert "Lookup ranks by n = n: rank" in made.output


def test_a_model_with_nothing_to_learn_from_is_said(new_model: New) -> None:
    made = new_model("i AS line")
    assert made.exit_code == 0
    assert "no column is left to learn from, but hour and weekday of the asking" in made.output


SHOWS = {
    "i * 9": "each row has another, as identifiers are, of 0 to 13,491",
    "i * 9.5": "it rises with asked, from 0.0 to 14,240.5",
    "1000000 + i // 2 * 12": "it rises with asked, from 1,000,000 to 1,008,988, as numbers of rows and",
    "i * 7919 % 90017": "each row has another, as identifiers are, of 0 to",
    "CASE WHEN i % 9 > 0 THEN i * 7919 % 60013 END": "each row has another, as identifiers are, of ",
    "1700000000 + i * 7919 % 40009": "seconds since 1970, as it seems, of 2023-11-14 to 2023-11-15",
    "(1700000000 + i * 7919 % 4009) * 1000": "milliseconds since 1970, as it seems, of 2023-11-14 to 2023-11-14; a"
    ' query (--from QUERY.sql) makes a time of it: to_timestamp("seen" / 1000.0) in DuckDB and Postgres',
    "1.7e15 + i % 90 * 1e9": "microseconds since 1970, as it seems, of 2023-11-14 to 2023-11-15; a query (--from"
    ' QUERY.sql) makes a time of it: to_timestamp("seen" / 1000000.0)',
    "20260101 + i % 28": "days as whole numbers, as it seems, of 20260101 to 20260128; a query (--from QUERY.sql)"
    " makes a time of it: strptime(CAST(\"seen\" AS VARCHAR), '%Y%m%d')",
}


@pytest.mark.parametrize("column", SHOWS)
def test_identifiers_running_totals_and_times_as_numbers_are_left_out_and_said(new_model: New, column: str) -> None:
    made = new_model(f"i % 7 AS n, {column} AS seen")
    assert made.exit_code == 0
    assert f"left out seen: {SHOWS[column]}" in made.output
    assert "Request: id, n." in made.output


@pytest.mark.parametrize(
    "column",
    [
        "i * 7919 % 1009",
        "20260001 + i % 90",
        "2000 + i % 30",
        "hash(i) % 1000000000",
        "i // 300",
        "sqrt(i * 7919 % 90017)",
    ],
)
def test_amounts_stay(new_model: New, column: str) -> None:
    made = new_model(f"i % 7 AS n, {column} AS seen")
    assert made.exit_code == 0
    assert "Request: id, n, seen." in made.output


def test_what_is_called_like_an_identifier_and_counters_of_an_entity_are_said(new_model: New) -> None:
    made = new_model(
        "'c' || i % 70 AS customer, i // 70 + 1 AS visits, i % 9 AS store_id, i * 7919 % 1009 AS \"accountId\"",
        *ROWS[:4],
        "--key",
        "customer",
        *ROWS[6:],
    )
    assert made.exit_code == 0
    assert "visits rises from row to row of the same customer, as a counter does: it is a feature" in made.output
    assert "left out accountId: called like an identifier, of more than 1,000 different numbers" in made.output
    assert (
        "store_id is called like an identifier, and is a number to the model; a query (--from QUERY.sql)" in made.output
    )
    assert "left out id: it numbers the rows" in made.output
    assert "Request: customer, visits, store_id." in made.output
