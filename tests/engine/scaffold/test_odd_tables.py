"""`penstock new` on tables as they are: what it reads, leaves out, and says."""

import ast
from collections.abc import Callable
from pathlib import Path

import click.testing
import duckdb
import psycopg
import pytest

from penstock.scaffold.names import identifier
from penstock.scaffold.new_command import new
from tests.engine.scaffold.cases import ROWS, New
from tests.slow import slow_after

pytestmark = pytest.mark.slow


def test_columns_of_no_use_are_named_with_the_reason(new_model: New) -> None:
    made = new_model(
        "i % 7 AS n, TIMETZ '10:00:00+02' AS opens, TIME '18:00:00' AS closes,"
        " CASE WHEN i % 5 = 0 THEN 'infinity'::TIMESTAMP ELSE TIMESTAMP '2026-01-01' END AS ends,"
        " CASE WHEN i % 50 = 0 THEN ' ' ELSE (i / 8.0)::VARCHAR END AS charges"
    )
    assert made.exit_code == 0
    assert "Request: id, n." in made.output
    assert "left out opens: of a type that no request holds (TIME WITH TIME ZONE)" in made.output
    assert '(time64[us]); a query (--from QUERY.sql) makes a number of it: EXTRACT(HOUR FROM "closes")' in made.output
    assert (
        "left out ends: 300 of its times are beyond the years 2 to 9998, which a request may have; NULLIF"
        in made.output
    )
    assert "most of them are numbers: cast them in a query (--from QUERY.sql)" in made.output


def test_a_postgres_with_types_of_its_own_is_read_without_them(
    new_model: New, new_database: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = new_database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            'CREATE MATERIALIZED VIEW "Cases MV" AS SELECT i AS id, i % 90 AS "ID", i % 7 AS n, i % 3 = 0 AS y,'
            " timestamp '2026-06-01' + i * interval '2 hours' AS asked, interval '1 day' AS span, point(1, 2) AS place,"
            " CASE WHEN i = 9 THEN 'infinity' ELSE date '2026-01-01' END AS ends, (i % 9)::numeric AS code,"
            " CASE WHEN i = 9 THEN 'NaN' ELSE 1.5 END::numeric(9, 2) AS rate FROM generate_series(1, 1500) i"
        )
        connection.execute(
            "CREATE TABLE codes AS SELECT c::numeric AS code, c % 2 AS half FROM generate_series(0, 8) c"
        )
    monkeypatch.setenv("PENSTOCK_WAREHOUSE_URL", url)
    options = ("--from", "Cases MV", *ROWS[2:])
    made = new_model("i AS unused", *options)
    assert made.exit_code == 0
    assert "Request: id, ID_2, n, code." in made.output
    assert "left out span: of a type that no request holds (interval)" in made.output
    assert "left out place: of a type that no request holds (point)" in made.output
    assert "left out ends: with an infinity, or a later one, where a request holds days" in made.output
    assert (
        "left out rate: with NaN, where a request holds numbers of numeric(9,2); write nullif(rate, 'NaN')"
        in made.output
    )
    refused = click.testing.CliRunner().invoke(new, ["other", *options, "--lookup", "codes"])
    assert "found only code, which is double: a type without exact equality" in str(refused.exception)


def test_a_role_that_may_read_some_columns_alone_is_told_so(
    new_model: New, new_database: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = new_database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "CREATE SCHEMA shop; CREATE TABLE shop.cases AS SELECT i AS id, 'DE' AS iban, i % 7 AS n, i % 3 = 0 AS y,"
            " timestamp '2026-06-01' + i * interval '2 hours' AS asked FROM generate_series(1, 1500) i;"
            ' CREATE TABLE shop."cases.old" AS SELECT 1 AS n;'
            " DROP ROLE IF EXISTS clerk; CREATE ROLE clerk LOGIN; GRANT USAGE ON SCHEMA shop TO clerk"
        )
    monkeypatch.setenv("PENSTOCK_WAREHOUSE_URL", url.replace("postgres@", "clerk@", 1))
    assert "there are no tables that it may read" in str(new_model("i % 7 AS n").exception)
    run = click.testing.CliRunner().invoke
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            'GRANT SELECT (id, n, y, asked) ON shop.cases TO clerk; GRANT SELECT ON shop."cases.old" TO clerk'
        )
    denied = run(new, ["m", *ROWS])
    assert (
        "--from cases: permission denied for table cases; GRANT SELECT to this role, or name in a query the columns"
        " that it may read" in str(denied.exception)
    )
    assert 'did you mean shop."cases.old"' in str(run(new, ["m", "--from", "shop.cases.old", *ROWS[2:]]).exception)
    Path("rows.sql").write_text("SELECT id, n, y, asked FROM shop.cases")
    assert "Request: id, n." in run(new, ["m", "--from", "rows.sql", *ROWS[2:]]).output


def test_a_text_that_is_one_value_or_none_becomes_a_number_that_a_model_can_use(new_model: New) -> None:
    script = "CREATE TABLE codes AS SELECT c AS n, CASE WHEN c % 2 = 0 THEN 'gold' END AS tier FROM range(7) t(c)"
    made = new_model(
        "i % 7 AS n, CASE WHEN i % 3 = 0 THEN 'open' END AS dispute", *ROWS, "--lookup", "codes", script=script
    )
    assert made.exit_code == 0
    contract = Path("model_tools/m.py").read_text()
    assert '"dispute_given": given(columns["dispute"]),' in contract
    assert '"codes_tier_given": given(columns["codes.tier"]),' in contract
    assert 'but=("id", "n", "dispute", "codes.tier"),' in contract


def test_texts_that_say_numbers_or_times_are_to_be_cast(new_model: New) -> None:
    made = new_model(
        "format('{:,}', 1000 + i * 7) AS income, '$' || (i / 4.0)::VARCHAR AS price, format('{:t.}', i * 1000) AS euro,"
        " strftime(DATE '2025-01-01' + i::INT, '%d.%m.%Y') AS born, 'k' || i % 300 AS code, 'k' || i AS free,"
        " CASE WHEN i % 2 = 0 THEN i || ' %' END AS share, i % 7 AS n"
    )
    said = {line.partition("left out ")[2].partition(":")[0]: line for line in made.output.splitlines()}
    numbers = {name for name, line in said.items() if "most of them are numbers: cast them in a query" in line}
    assert numbers == {"income", "price", "euro", "share"}
    assert (
        "most of them are days: read them in a query (--from QUERY.sql), such as strptime(\"born\", '%d.%m.%Y')"
        in (said["born"])
    )
    assert said["code"].endswith("can be categories; a query (--from QUERY.sql) can put the rare ones together")
    assert said["free"].endswith("can be categories")


def test_classes_that_a_list_would_blur_stand_in_quotes(new_model: New) -> None:
    script = "ALTER TABLE cases ALTER y TYPE VARCHAR USING CASE WHEN id % 3 = 0 THEN 'yes, very' ELSE ' no' END"
    assert "a classifier of 2 classes: ' no', 'yes, very'." in new_model("i % 7 AS n", script=script).output


def test_what_a_person_owns_of_a_model_with_two_lookups_are_forty_lines(new_model: New) -> None:
    script = """
        CREATE TABLE shops AS SELECT 's' || s AS shop, s % 5 AS size, 'a' || s % 3 AS area FROM range(40) t(s);
        CREATE TABLE weather AS SELECT 'c' || w % 3 AS city, TIMESTAMP '2026-05-01' + INTERVAL (w) DAY AS seen_at,
            w % 7 AS rain FROM range(300) t(w)
    """
    options = (*ROWS, "--lookup", "shops", "--lookup", "weather@seen_at")
    made = new_model("i % 7 AS n, 's' || i % 40 AS shop, 'c' || i % 3 AS city", *options, script=script)
    assert made.exit_code == 0
    lines = [line for folder in ("model_tools", "assets") for line in Path(folder, "m.py").read_text().splitlines()]
    assert lines.count("CONTRACT = plain_contract(") == 1
    assert len([line for line in lines if line.strip()]) <= 40


def test_what_the_data_begin_with_does_not_make_the_gate_small(new_model: New) -> None:
    early = "UPDATE cases SET asked = TIMESTAMP '2026-05-31 23:00:00' WHERE id < 2"
    assert new_model("i % 7 AS n", script=early).exit_code == 0
    assert "minimum_rows=90)" in Path("assets/m.py").read_text()


def test_a_time_that_no_request_may_have_is_left_out_of_rows_and_lookups(new_model: New) -> None:
    ends = "DATE '9999-12-31' - (c * 400)::INT AS ends"
    script = f"CREATE TABLE codes AS SELECT c AS n, c % 2 AS half, {ends} FROM range(7) t(c)"
    columns = "i % 7 AS n, CASE WHEN i % 3 = 0 THEN TIMESTAMP '9999-12-31' ELSE TIMESTAMP '2026-09-01' END AS valid_to"
    made = new_model(columns, *ROWS, "--lookup", "codes", script=script)
    assert made.exit_code == 0
    assert "left out valid_to: 500 of its times are beyond the years 2 to 9998, which a request may have" in made.output
    assert "left out codes.ends: 1 of its times are beyond" in made.output


@pytest.mark.parametrize(
    ("delay", "said"), [("6h", "6 hours"), ("36h", "36 hours"), ("1d", "1 day"), ("2w", "14 days")]
)
def test_how_late_outcomes_are_is_said_in_its_unit(new_model: New, delay: str, said: str) -> None:
    made = new_model("i % 7 AS n", *ROWS, "--outcome-after", delay)
    assert f"Outcomes are awaited for {said}." in made.output


def test_first_and_last_asking_are_said(new_model: New) -> None:
    made = new_model("i % 7 AS n", script="UPDATE cases SET asked = TIMESTAMP '2999-12-31' WHERE id = 7")
    assert made.exit_code == 0
    assert "1,500 rows, asked from 2026-06-01 00:00:00 to 2999-12-31 00:00:00" in made.output


def test_an_outcome_that_is_no_number_counts_as_none(new_model: New) -> None:
    options = (*ROWS[:3], "score", *ROWS[4:])
    made = new_model(
        "CASE WHEN i % 10 = 0 THEN 'nan'::DOUBLE WHEN i % 10 < 3 THEN NULL ELSE i % 9 END AS score", *options
    )
    assert made.exit_code == 0
    assert "450 rows without an outcome: left out when training." in made.output


def test_numbers_that_are_none_are_counted_in_rows_and_lookups(new_model: New) -> None:
    half = "CASE WHEN c = 3 THEN '-infinity'::DOUBLE ELSE c END AS half"
    script = f"CREATE TABLE codes AS SELECT c AS n, {half} FROM range(7) t(c)"
    columns = "i % 7 AS n, CASE i % 10 WHEN 0 THEN 'nan'::DOUBLE WHEN 1 THEN 'inf'::DOUBLE ELSE i % 9 END AS load"
    made = new_model(columns, *ROWS, "--lookup", "codes", script=script)
    assert made.exit_code == 0
    assert (
        "  300 numbers of load are NaN or infinite, which no request holds: they are read as missing\n" in made.output
    )
    assert "  1 number of codes.half is NaN or infinite, which no request holds: it is read as missing\n" in made.output


def test_the_last_snapshot_of_which_nobody_knows_yet_asks_for_the_delay(new_model: New) -> None:
    late = "UPDATE cases SET y = NULL WHERE asked >= TIMESTAMP '2026-10-01'"
    made = new_model("i % 7 AS n", script=late)
    assert "None of 2026-10 has one: how late outcomes are known is said by --outcome-after" in made.output
    assert "2026-09 can be held out" in made.output
    Path("rows.sql").write_text("SELECT * FROM cases WHERE asked < TIMESTAMP '2026-10-01' OR y IS NOT NULL")
    known = click.testing.CliRunner().invoke(new, ["known", "--from", "rows.sql", *ROWS[2:]])
    assert "--outcome-after" not in known.output


def test_names_that_differ_in_case_alone_become_different_fields(new_model: New) -> None:
    made = new_model('i % 7 AS "a-b", i % 5 AS "A.B", i % 3 AS "a b"')
    assert made.exit_code == 0
    assert "Request: id, a_b, A_B_2, a_b_3." in made.output
    assert identifier("Total", ["total"]) == "Total_2"


def test_a_decimal_without_a_fraction_is_a_whole_number_and_a_key(new_model: New) -> None:
    script = "CREATE TABLE accounts AS SELECT a::DECIMAL(12, 0) AS account, a % 5 AS age FROM range(40) t(a)"
    made = new_model(
        "(i % 40)::BIGINT AS account, (i * 3 % 100)::DECIMAL(10, 0) AS n, 1e20::DECIMAL(38, 0) + i % 900 AS huge",
        *ROWS,
        "--lookup",
        "accounts",
        script=script,
    )
    assert made.exit_code == 0
    assert "Lookup accounts by account = account: age (40 rows)." in made.output
    assert "    n: Annotated[int, " in Path("model_tools/m.py").read_text()
    assert "left out huge: whole numbers beyond 2^53, which no float64 holds exactly" in made.output


def test_the_huge_number_of_a_decimal_can_be_the_key(new_model: New) -> None:
    made = new_model("1e20::DECIMAL(38, 0) + i AS huge, i % 7 AS n", *ROWS[:5], "huge", *ROWS[6:])
    assert made.exit_code == 0
    assert "    huge: Annotated[str, Meta(max_length=64)]" in Path("model_tools/m.py").read_text()


def test_a_table_is_found_by_its_quoted_name(new_model: New) -> None:
    script = """
        CREATE SCHEMA crm;
        CREATE TABLE crm."Account Facts" AS SELECT a AS "Account No", TIMESTAMP '2026-01-01' AS "valid from",
            a % 5 AS age FROM range(20) t(a);
        CREATE TABLE "Account Facts" AS SELECT a AS account, a % 5 AS "other:age" FROM range(40) t(a);
        CREATE TABLE "crm.prices" AS SELECT a AS account, a % 6 AS price FROM range(40) t(a);
    """
    given = (
        '"crm"."Account Facts":"Account No"=account@"valid from"',
        '"Account Facts":account',
        '"crm.prices"',
    )
    options = ('"cases"', '"y"', '"id"', '"asked"')
    rows = [part for pair in zip(ROWS[::2], options, strict=True) for part in pair]
    made = new_model("i % 40 AS account", *rows, *(part for one in given for part in ("--lookup", one)), script=script)
    assert made.exit_code == 0
    assert "Lookup account_facts by Account_No = account, known from valid_from on: age (20 rows)." in made.output
    assert "740 of the 1,500 rows found none there: its columns are missing." in made.output
    assert "Lookup account_facts_2 by account = account: other_age (40 rows)." in made.output
    assert "Lookup crm_prices by account = account: price (40 rows)." in made.output


def test_a_name_of_several_schemas_is_none_and_that_of_the_plain_schema_is(new_model: New) -> None:
    facts = "CREATE SCHEMA {0}; CREATE TABLE {0}.facts AS SELECT a AS account, a AS {0} FROM range(40) t(a);"
    made = new_model("i % 40 AS account", *ROWS, "--lookup", "facts", script=facts.format("a") + facts.format("b"))
    assert "--lookup facts: expected one table, found 2 that are called so; say a.facts or b.facts" in str(
        made.exception
    )
    with duckdb.connect(".penstock/warehouse.duckdb") as warehouse:
        warehouse.execute("CREATE TABLE facts AS SELECT a AS account, a AS plain FROM range(40) t(a)")
    made = click.testing.CliRunner().invoke(new, ["m", *ROWS, "--lookup", "facts"])
    assert "Lookup facts by account = account: plain (40 rows)." in made.output


@pytest.mark.parametrize("option", slow_after(1, ["days:asked", "days", "days:asked=asked"]))
def test_a_calendar_is_joined_by_a_second_column_of_the_day(new_model: New, option: str) -> None:
    script = "CREATE TABLE days AS SELECT DATE '2026-06-01' + d::INT AS asked, d % 7 AS day FROM range(200) t(d)"
    refused = new_model("i % 7 AS n", *ROWS, "--lookup", option, script=script)
    assert "asked is the asking time, which no table is joined by: select it twice in a query" in str(refused.exception)
    Path("rows.sql").write_text("SELECT *, CAST(asked AS DATE) AS asked_again FROM cases")
    options = ("m", "--from", "rows.sql", *ROWS[2:], "--lookup", "days:asked=asked_again")
    made = click.testing.CliRunner().invoke(new, options)
    assert "Lookup days by asked = asked_again: day (200 rows)." in made.output


def test_leaves_are_small_enough_for_a_rare_class(new_model: New) -> None:
    script = (
        "INSERT INTO cases SELECT 10000 + id, asked, false, n FROM cases, range(20); UPDATE cases SET y = id % 900 = 0"
    )
    script = script.replace("10000 + id", "row_number() OVER () + 10000")
    options = (*ROWS[:5], "id,n", *ROWS[6:])
    made = new_model("i % 7 AS n", *options, script=script)
    assert made.exit_code == 0
    assert "min_samples_leaf=8)" in Path("assets/m.py").read_text()
    assert ast.parse(Path("assets/m.py").read_text())
