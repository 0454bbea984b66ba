"""SQL as people write it: colons, percent signs, semicolons and comments."""

import pytest

from penstock.declare.query_faults import query_faults
from penstock.sql_text import value_names
from penstock.warehouse.interface import Warehouse, WarehouseError
from penstock.warehouse.query_text import bind, subquery
from tests.engine.warehouse.test_warehouse import read, warehouse  # noqa: F401


def test_only_a_named_value_outside_of_texts_and_comments_is_bound() -> None:
    query = """SELECT ':a', ":a", x::a, y[1:a], $$ :a $$, E'it\\'s :a', :a, :b -- :a
        /* :a */ FROM t WHERE :a < 3"""
    assert bind(query, ["a"], "<{}>".format).count("<a>") == 2
    assert ":b" in bind(query, ["a"], "<{}>".format)


def test_values_are_told_from_the_warehouses_own_colons() -> None:
    bound = "SELECT :a, x+:b FROM t WHERE t.at >= :c -- :no\n AND u BETWEEN :d AND /* :no */ :e OR f(:f,:g) LIMIT :a"
    assert value_names(bound) == ["a", "b", "c", "d", "e", "f", "g"]
    own = "SELECT {'k':x, 'l' :y}, list[:n], list[1:n], src:owner, src:\"a\":b, f(x):c, 'AND' :d, x::int, ' = ':e"
    assert value_names(own) == []


@pytest.mark.parametrize(
    ("query", "inner"),
    [
        ("SELECT 1;", "SELECT 1"),
        ("SELECT 1 ; -- done\n ;\n", "SELECT 1"),
        ("SELECT 1 -- last", "SELECT 1 -- last"),
        ("SELECT ';' AS x", "SELECT ';' AS x"),
        ("SELECT 1; SELECT 2", "SELECT 1; SELECT 2"),
        ("SELECT 1 /* ; */;", "SELECT 1 /* ; */"),
        ("SELECT 1; -- a\nSELECT 2;", "SELECT 1; -- a\nSELECT 2"),
        (r"SELECT 'it\'s' AS x ;", r"SELECT 'it\'s' AS x"),
        (r"SELECT 'it\'s; a' AS x, 'don\'t' AS y ; -- done", r"SELECT 'it\'s; a' AS x, 'don\'t' AS y"),
        (r"SELECT 'C:\' AS x ; -- 'end", r"SELECT 'C:\' AS x"),
    ],
)
def test_a_query_ends_before_its_semicolon(query: str, inner: str) -> None:
    assert subquery(query) == f"{inner}\n"


@pytest.mark.parametrize(
    "query",
    [
        "SELECT '12:30:00' AS x, 10 % 3 AS y, '100%' AS z WHERE 1 = :one;",
        "SELECT '12:30:00' AS x, 1 AS y, '100%' AS z WHERE 1 = :one -- a :word, 5%",
        "SELECT '12:30:00' AS x, 1::int AS y, '100%'::text AS z /* :x */ WHERE 1 = :one ; -- end",
    ],
)
@pytest.mark.parametrize("key", [(), ("x",)])
def test_every_warehouse_takes_them(warehouse: Warehouse, query: str, key: tuple[str, ...]) -> None:  # noqa: F811
    row = read(warehouse, query, {"one": 1}, key).to_pylist()
    assert row == [{"x": "12:30:00", "y": 1, "z": "100%"}]
    assert read(warehouse, query.replace("WHERE 1 = :one", ""), None, key).num_rows == 1


@pytest.mark.parametrize(
    "query",
    [
        r"SELECT 'it\'s; = :b' AS x, 'C' AS y WHERE z = :a;",
        r"SELECT 'C:\' AS x, '; -- = :b' AS y WHERE z = :a -- isn't",
    ],
)
def test_a_declared_query_is_one_whichever_way_its_warehouse_reads_a_backslash(query: str) -> None:
    assert query_faults("query", query, ["a"]) == []
    assert len(query_faults("query", query + "\n; SELECT 2 WHERE z = :c", ["a"])) == 2


def test_two_statements_are_refused(warehouse: Warehouse) -> None:  # noqa: F811
    with pytest.raises(WarehouseError):
        read(warehouse, "SELECT 1 AS a; DROP TABLE t", key=("a",))
    assert read(warehouse, "SELECT * FROM t").num_rows == 4
