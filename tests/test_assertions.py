"""No test asserts only about what may be empty: `all(...)` of nothing is true, and so is a loop over nothing."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.checkout import ROOT

TESTS = ROOT / "tests"
Test = ast.FunctionDef | ast.AsyncFunctionDef
COUNTS_ITSELF = frozenset({"packed", "asked_alone", "room_files"})
"""Helpers that return at least one, or assert how many they return."""
PASSES_ON = frozenset({"enumerate", "sorted", "reversed", "list", "pairwise"})
"""Functions that return as many as they are given, or one less."""
Comprehension = ast.GeneratorExp | ast.ListComp | ast.SetComp | ast.DictComp


def uncounted(source: str) -> list[int]:
    """Lines of assertions that hold when a collection is empty, in tests that do not say how much it holds."""
    found = []
    for test in ast.walk(ast.parse(source)):
        if isinstance(test, Test) and test.name.startswith("test"):
            for line, collection in over_collections(test):
                if not sure(collection, test):
                    found.append(line)
    return sorted(set(found))


def over_collections(test: Test) -> Iterator[tuple[int, ast.expr]]:
    """The line of each assertion about all that a collection holds, and the collection."""
    for node in ast.walk(test):
        if isinstance(node, ast.Assert):
            comprehension = universal(node.test)
            if comprehension is not None:
                yield node.lineno, comprehension.generators[0].iter
        elif isinstance(node, ast.For) and any(isinstance(inside, ast.Assert) for inside in node.body):
            yield node.lineno, node.iter


def universal(condition: ast.expr) -> Comprehension | None:
    """The comprehension in `all(…)`, `not any(…)`, `not […]` and `[…] == []`, if that is the whole condition."""
    match condition:
        case ast.Call(func=ast.Name(id="all"), args=[inside]):
            pass
        case ast.UnaryOp(op=ast.Not(), operand=ast.Call(func=ast.Name(id="any"), args=[inside])):
            pass
        case ast.UnaryOp(op=ast.Not(), operand=inside):
            pass
        case ast.Compare(left=inside, ops=[ast.Eq()], comparators=[ast.List(elts=[]) | ast.Dict(keys=[])]):
            pass
        case _:
            return None
    return inside if isinstance(inside, Comprehension) else None


def never_empty(collection: ast.expr, test: Test) -> bool:
    """Whether the code itself shows that there is something: a literal, a constant of the file, a range of numbers."""
    found: bool
    match collection:
        case ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Set(elts=parts) | ast.Dict(keys=parts):
            found = bool(parts)
        case ast.Constant(value=value):
            found = bool(value)
        case ast.Subscript(value=whole):
            found = sure(whole, test)
        case ast.BinOp(left=left, right=right):
            found = never_empty(left, test) or never_empty(right, test)
        case ast.Name(id=name):
            found = name.isupper() or any(never_empty(value, test) for value in assigned(name, test))
        case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
            found = all(never_empty(one.iter, test) and not one.ifs for one in collection.generators)
        case ast.Call(func=ast.Name(id="range"), args=bounds):
            found = all(isinstance(bound, ast.Constant) or never_empty(bound, test) for bound in bounds)
        case ast.Call(func=ast.Name(id="zip"), args=parts, keywords=[ast.keyword(arg="strict")]):
            found = any(sure(part, test) for part in parts)
        case ast.Call(func=ast.Name(id=name), args=parts):
            found = name in COUNTS_ITSELF or (name in PASSES_ON and sure(parts[0], test))
        case ast.Call(func=ast.Attribute(value=inside, attr="items" | "values" | "keys"), args=[]):
            found = sure(inside, test)
        case _:
            found = False
    return found


def assigned(name: str, test: Test) -> list[ast.expr]:
    """The values that the test assigns to a name, except those made from the name itself."""
    assignments = [node for node in ast.walk(test) if isinstance(node, ast.Assign)]
    values = [one.value for one in assignments if name in {ast.unparse(target) for target in one.targets}]
    return [value for value in values if name not in {n.id for n in ast.walk(value) if isinstance(n, ast.Name)}]


def sure(collection: ast.expr, test: Test) -> bool:
    """Whether an empty collection is impossible, or fails the test."""
    return never_empty(collection, test) or counted(collection, test)


def counted(collection: ast.expr, test: Test) -> bool:
    """Whether another assertion of the test fails for an empty collection: it names it, and not for all it holds."""
    names = {node.id for node in ast.walk(collection) if isinstance(node, ast.Name)}
    text = ast.unparse(collection)
    for node in ast.walk(test):
        if isinstance(node, ast.Assert) and universal(node.test) is None:
            said = ast.unparse(node.test)
            if text in said or (isinstance(collection, ast.Name) and names & names_in(node.test)):
                return True
    return False


def names_in(node: ast.AST) -> set[str]:
    return {inside.id for inside in ast.walk(node) if isinstance(inside, ast.Name)}


@pytest.mark.parametrize("path", sorted(TESTS.rglob("*.py")), ids=lambda path: str(path.relative_to(TESTS)))
def test_what_is_asserted_of_all_is_counted_too(path: Path) -> None:
    lines = uncounted(path.read_text())
    assert lines == [], f"{path.relative_to(ROOT)}: assert too how many there are, else nothing at all passes"


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("assert all(row.ok for row in rows)", 1),
        ("assert not any(row.bad for row in rows)", 1),
        ("assert not [row for row in rows if row.bad]", 1),
        ("assert [row for row in rows if row.bad] == []", 1),
        ("for row in rows: assert row.ok", 1),
        ("assert all(row.ok for row in book.rows())", 1),
        ("assert len(rows) == 2\n assert all(row.ok for row in rows)", 0),
        ("assert rows\n for row in rows: assert row.ok", 0),
        ("assert len(book.rows()) > 1\n assert all(row.ok for row in book.rows())", 0),
        ("assert all(row.ok for row in (1, 2))", 0),
        ("assert {row.ok for row in rows} == {True}", 0),
        ("assert all(rows)\n assert all(row.ok for row in rows)", 0),
    ],
)
def test_only_assertions_that_hold_of_nothing_are_found(body: str, found: int) -> None:
    assert len(uncounted(f"def test_rows(rows, book):\n {body}\n")) == found
