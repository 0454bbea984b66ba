"""A whole number with a fraction of zeros, or an exponent, is an integer of the OpenAPI schema and of a request."""

from datetime import datetime
from enum import IntEnum
from typing import Annotated, Any, Literal

import msgspec
import pytest

from penstock.contract.contract import Output
from penstock.contract.plain import plain_contract
from penstock.serving.answering.decoding import Decoder
from penstock.serving.http.problems import Problem
from penstock.serving.routes.openapi import openapi
from penstock.testing import NOON


class Wheels(IntEnum):
    TWO = 2
    FOUR = 4


class Ask(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    account: int
    age: Annotated[int, msgspec.Meta(ge=0, le=120)] | None = None
    share: float | int = 0.0
    level: Literal[1, 2, 3] | None = None
    wheels: Wheels = Wheels.FOUR
    name: str = ""
    asked_at: datetime | None = None


CONTRACT = plain_contract("m", Ask, entity=("account",), compute=lambda _: {}, output=Output("y", "regressor"))


def decoded(body: str) -> list[Ask]:
    return list(Decoder(CONTRACT, lambda: NOON)(body.encode(), "1").requests.decoded)


@pytest.mark.parametrize("text", ["12.0", "1.2e1", "12.000", "120E-1"])
def test_it_is_the_whole_number(text: str) -> None:
    (one,) = decoded(f'{{"account": {text}, "age": {text}, "name": "12.0"}}')
    assert (one.account, type(one.account), one.age, one.name) == (12, int, 12, "12.0")
    assert [ask.account for ask in decoded(f'[{{"account": 3}}, {{"account": {text}, "age": null}}]')] == [3, 12]


@pytest.mark.parametrize("text", ["12.5", "1e17", "9007199254740994.0", "1e400", '"12.0"', "true", "[12.0]"])
def test_any_other_number_is_refused_as_before(text: str) -> None:
    with pytest.raises(Problem) as refused:
        decoded(f'[{{"account": 12.0, "age": 7.0}}, {{"account": {text}}}]')
    assert refused.value.status == 422
    assert str(refused.value).startswith("$[1].account: expected a whole number")


def test_so_is_a_choice_among_whole_numbers() -> None:
    (one,) = decoded('{"account": 1, "level": 2.0, "wheels": 2e0}')
    assert (one.level, type(one.level), one.wheels) == (2, int, Wheels.TWO)
    with pytest.raises(Problem, match=r"\$\.level: expected one of 1, 2, 3, or null, found 9$"):
        decoded('{"account": 1, "level": 9.0, "wheels": 2.0}')


@pytest.mark.parametrize("other", ["5", "null", "[]"])
def test_it_is_no_fault_beside_a_row_that_is_no_object(other: str) -> None:
    with pytest.raises(Problem) as refused:
        decoded(f'[{{"account": 12.0}}, {other}, {{"account": 3.0}}]')
    assert str(refused.value) == f"$[1]: expected an object, found {other}"


@pytest.mark.parametrize("text", ["1e17", "9007199254740994.0"])
def test_a_larger_one_is_told_how_it_is_written(text: str) -> None:
    with pytest.raises(Problem) as refused:
        decoded(f'{{"account": {text}}}')
    assert str(refused.value) == f"$.account: expected a whole number, beyond 2^53 in digits alone, found {text}"


def test_the_schema_says_how_larger_ones_are_written() -> None:
    schemas: dict[str, Any] = msgspec.json.decode(openapi([CONTRACT]))["components"]["schemas"]
    said = {name: field.get("description", "") for name, field in schemas["Ask"]["properties"].items()}
    assert {name for name, text in said.items() if "beyond 2^53 in digits alone" in text} == {"account"}
