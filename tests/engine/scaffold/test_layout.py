"""Tuples, calls and mappings of generated code: what they say, and laid out as the formatter would, at every length."""

import ast
import subprocess
import sys

import pytest

from penstock.scaffold.contract_text import mapping
from penstock.scaffold.literals import number_text
from penstock.scaffold.names import LONGEST_LINE, call, literal, sequence


def formatted(text: str) -> str:
    """The text as the formatter of a project lays it out."""
    command = [sys.executable, "-m", "ruff", "format", "--isolated", "--line-length", str(LONGEST_LINE), "-"]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_tuple_is_one_at_every_length_of_its_line(count: int) -> None:
    lines = []
    for length in range(LONGEST_LINE // count - 16, LONGEST_LINE // count + 4):
        parts = ['"' + letter * (length - 2) + '"' for letter in "abc"[:count]]
        lines.append(f"TUPLE = {sequence(parts, 0, around=8)}\n")
        assert ast.literal_eval(lines[-1].partition(" = ")[2]) == tuple(part.strip('"') for part in parts)
    assert len({line.count("\n") for line in lines}) > 1
    assert "".join(lines) == formatted("".join(lines))


@pytest.mark.parametrize("count", [1, 2])
def test_calls_and_mappings_are_laid_out_as_the_formatter_does(count: int) -> None:
    lines = []
    for length in range(LONGEST_LINE // count - 24, LONGEST_LINE // count + 4):
        parts = [f"{letter}={letter * (length - 2)}" for letter in "abc"[:count]]
        lines.append(f"x = {call('made', parts, 0, around=4)}\n")
        pairs = ['"' + letter + '": ' + letter * (length - 5) for letter in "abc"[:count]]
        lines.append(f"x = {mapping(pairs, 0, around=4)}\n")
    assert len({line.count("\n") for line in lines}) > 1
    assert "".join(lines) == formatted("".join(lines))


def test_numbers_are_written_as_the_formatter_writes_them() -> None:
    lines = [f"x = {literal(value)}\n" for value in (1.5e35, -2.5e-9, 1e16, 0.1, 7, True, None)]
    lines += [f"x = {number_text(value)}\n" for value in (1e36, -1e36, 100.0)]
    assert "".join(lines) == formatted("".join(lines))
    assert number_text(1e36) == "1e36"
