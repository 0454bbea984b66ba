"""`penstock new` on tables and options that cannot be: a sentence with what to do, never a failure."""

from pathlib import Path

import click.testing
import pytest

from penstock.scaffold.new_command import new
from penstock.scaffold.sources import lookup_option
from tests.engine.scaffold.cases import ROWS, New

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("text", ["", ":a", '"t"@', '"t":', "t:a=b=c", "t:a,,b", "t:a,a", "t@"])
def test_what_is_no_lookup_is_said(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected TABLE\[:KEY\[=FIELD\],…\]\[@KNOWN_AT\], such as"):
        lookup_option(text)


@pytest.mark.parametrize(
    ("columns", "options", "said"),
    [
        ("i AS n", (*ROWS[:5], "y", *ROWS[6:]), "--key y: it is the outcome; name what is asked about"),
        ("i AS n", (*ROWS[:3], "n", *ROWS[4:7], "n"), "--asked-at n: it is the outcome"),
        (
            "i * 10 AS n",
            (*ROWS[:7], "n"),
            "asked would do; a query (--from QUERY.sql) makes one of it, such as to_timestamp(",
        ),
        ("i * 1e9 AS n", (*ROWS[:7], "n"), 'such as to_timestamp("n" / 1000.0)'),
        ("'2026-11-01' AS n", (*ROWS[:7], "n"), 'such as CAST("n" AS TIMESTAMP)'),
        (
            "'infinity'::TIMESTAMP AS n",
            (*ROWS[:7], "n"),
            "--asked-at n: expected times of the years 2 to 9998, found 1,500 beyond them; leave these rows out",
        ),
        (
            "CASE WHEN i % 9 = 0 THEN 'fraud' END AS n",
            (*ROWS[:3], "n", *ROWS[4:]),
            'if those without (1,333) mean another, a query says it (COALESCE("n", …))',
        ),
        (
            "(i % 100) * 1e298 AS n",
            (*ROWS[:3], "n", *ROWS[4:]),
            "outcome 'n' reaches 9.9e+299: expected amounts of at most 1e+150",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_do(
    new_model: New, columns: str, options: tuple[str, ...], said: str
) -> None:
    refused = new_model(columns, *options)
    assert said in str(refused.exception)
    assert not Path("model_tools/m.py").exists()


def test_amounts_whose_squares_are_no_numbers_are_refused(new_model: New) -> None:
    made = new_model("(i % 100) * 1e298 AS amount, i % 7 AS n", *ROWS[:3], "amount", *ROWS[4:])
    assert "outcome 'amount' reaches 9.9e+299: expected amounts of at most 1e+150" in str(made.exception)


def test_rows_that_no_column_dates_are_refused_with_what_to_do(new_model: New) -> None:
    refused = new_model("i AS n", *ROWS[:6])
    assert refused.exit_code == 2
    assert "Missing option '--asked-at': the column of when the model would have been asked" in refused.output


@pytest.mark.parametrize(
    ("table", "option", "said"),
    [
        (
            "SELECT a::VARCHAR AS account, a AS v FROM range(40) t(a)",
            "facts",
            "found only account of another type (string, where the rows have int64)",
        ),
        (
            "SELECT a::VARCHAR AS account, a AS v FROM range(40) t(a)",
            "facts:account",
            "cast one of the two, or both, in a query",
        ),
        (
            "SELECT lpad(a::VARCHAR, 5, '0') AS code, a AS v FROM range(40) t(a)",
            "facts:code",
            "found none for any row that is asked about: code is such as '00000', and code '0'",
        ),
    ],
)
def test_a_lookup_that_never_finds_a_row_is_refused(new_model: New, table: str, option: str, said: str) -> None:
    columns = "i % 40 AS account, (i % 40)::VARCHAR AS code"
    refused = new_model(columns, *ROWS, "--lookup", option, script=f"CREATE TABLE facts AS {table}")
    assert said in str(refused.exception)


def test_a_lookup_that_a_collation_alone_finds_is_refused(new_model: New) -> None:
    script = (
        "CREATE TABLE users (mail VARCHAR COLLATE NOCASE, v INT);"
        " INSERT INTO users SELECT 'user' || i, i FROM range(40) t(i);"
        " ALTER TABLE cases ADD mail VARCHAR COLLATE NOCASE;"
        " UPDATE cases SET mail = CASE WHEN id < 500 THEN 'user' ELSE 'User' END || (id % 40)"
    )
    refused = new_model("i % 7 AS n", *ROWS, "--lookup", "users", script=script)
    assert "found 1,000 more of the 1,500 rows to be equal by a type such as citext, or a collation" in str(
        refused.exception
    )
    sql = 'lower(CAST("mail" AS VARCHAR))'
    assert sql in str(refused.exception)
    Path("users.sql").write_text(f"SELECT {sql} AS mail, v FROM users")
    Path("rows.sql").write_text(f"SELECT * REPLACE ({sql} AS mail) FROM cases")
    options = ("--from", "rows.sql", *ROWS[2:], "--lookup", "users.sql")
    made = click.testing.CliRunner().invoke(new, ["m", *options])
    assert made.exit_code == 0
    assert "found none there" not in made.output


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELECT * FROM cases; SELECT 1", "--from rows.sql: expected one query, found 2 statements"),
        (
            "SELECT * FROM cases WHERE asked >= :from AND asked < :until",
            "expected the rows of all times, found :from and :until",
        ),
        (
            "SELECT a.*, b.* FROM cases a JOIN cases b USING (id)",
            "'id' twice, 'asked' twice, 'y' twice, 'n' twice. Give each a name by AS",
        ),
        (
            "SELECT * FROM case_s",
            '--from rows.sql: Catalog Error: Table with name case_s does not exist! Did you mean "cases"?',
        ),
    ],
)
def test_a_query_that_cannot_be_read_is_named(new_model: New, query: str, said: str) -> None:
    Path("rows.sql").write_text(query)
    refused = new_model("i AS n", "--from", "rows.sql", *ROWS[2:])
    assert said in str(refused.exception)
