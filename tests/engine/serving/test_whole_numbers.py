"""A whole number with a fraction of zeros, or an exponent, is an integer of the OpenAPI schema and of a request."""

from datetime import datetime
from typing import Annotated

import msgspec
import pytest

from penstock.contract.contract import Output
from penstock.contract.plain import plain_contract
from penstock.serving.answering.decoding import Decoder
from penstock.serving.http.problems import Problem
from penstock.testing import NOON


class Ask(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    account: int
    age: Annotated[int, msgspec.Meta(ge=0, le=120)] | None = None
    share: float | int = 0.0
    name: str = ""
    asked_at: datetime | None = None


def decoded(body: str) -> list[Ask]:
    contract = plain_contract("m", Ask, entity=("account",), compute=lambda _: {}, output=Output("y", "regressor"))
    return list(Decoder(contract, lambda: NOON)(body.encode(), "1").requests.decoded)


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
