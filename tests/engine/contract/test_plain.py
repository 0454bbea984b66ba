"""A plain contract: every slip in what it is called with is a sentence, and all of them at once."""

from typing import Any

import msgspec
import numpy as np
import pytest

from penstock.contract.contract import Columns, Lookup, Output
from penstock.contract.features import Vectors, numbers
from penstock.contract.plain import plain_contract
from penstock.errors import ContractError, Faults


class Ask(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    account: int
    plan: str
    asked_at: str | None = None


SHOP = Lookup("shop", key={"id": "account"}, columns=numbers("area"))


def features(columns: Columns) -> Vectors:
    return {}


def contract(**more: Any) -> Any:
    declared: dict[str, Any] = {
        "model": "m",
        "request": Ask,
        "lookups": (SHOP,),
        "entity": ("account",),
        "compute": features,
        "output": Output("y", "regressor"),
    }
    return plain_contract(**declared | more)


@pytest.mark.parametrize(
    ("slip", "said"),
    [
        ({"lookups": SHOP}, r"lookups of Contract 'm': expected a tuple of Lookup, such as \(x,\), found Lookup"),
        ({"lookups": None}, "lookups of Contract 'm': expected a tuple of Lookup.*, found NoneType None"),
        ({"lookups": (SHOP, "shop")}, "lookups of Contract 'm': expected a tuple of Lookup.*, found tuple"),
        ({"entity": "account"}, "entity of Contract 'm': expected a tuple of texts.*, found str 'account'"),
        ({"request": "Ask"}, "request of Contract 'm': expected a class that is a Struct, found str 'Ask'"),
        ({"output": "y"}, "output of Contract 'm': expected an Output, found str 'y'"),
        ({"but": "plan"}, "but of Contract 'm': expected a tuple of texts.* or None, found str 'plan'"),
        ({"computed": "hour"}, "computed of Contract 'm': expected a tuple of texts.*, found str 'hour'"),
        (
            {"computes": features},
            r"Contract 'm': expected fields that it has, found 'computes'\. Did you mean",
        ),
        (
            {"compute": lambda columns: {"wide": columns["area"] * 2.0}},
            r"features of model 'm': .*found KeyError: 'area', in contract/test_plain.py, line \d+\..*The columns are "
            "account, plan, asked_at, shop.area",
        ),
        ({"compute": lambda columns: {"n": columns["account"].fillna(0)}}, "AttributeError: .*test_plain.py, line"),
        ({"compute": lambda columns: [columns["account"]]}, "that returns a dict of arrays, found list"),
        ({"compute": lambda columns: None}, "that returns a dict of arrays, found NoneType None"),
    ],
)
def test_a_slip_is_named_with_what_is_expected(slip: dict[str, Any], said: str) -> None:
    with pytest.raises(ContractError, match=said):
        contract(**slip)


def test_what_is_computed_is_what_the_function_returns_beside_columns() -> None:
    def compute(columns: Columns) -> Vectors:
        return {"shop.area": columns["shop.area"] * 2, "double": columns["shop.area"] * 2.0}

    made = contract(compute=compute)
    assert [(one.name, one.kind) for one in made.features] == [
        ("plan", "text"),
        ("asked_at", "text"),
        ("shop.area", "number"),
        ("double", "number"),
    ]
    assert made.digest() == contract(compute=compute, computed=("double",)).digest()


def test_a_function_that_takes_no_missing_value_is_named_with_its_failure() -> None:
    def compute(columns: Columns) -> Vectors:
        return {"length": np.array([len(plan) for plan in columns["plan"]])}

    with pytest.raises(
        ContractError, match=r"found TypeError: object of type 'NoneType' has no len.*for a row without any value"
    ):
        contract(compute=compute)
    assert contract(compute=compute, computed=("length",)).features[-1].name == "length"


def test_every_slip_is_named_at_once() -> None:
    with pytest.raises(Faults, match=r"(?s)found 'entitty'\. Did you mean entity\?.*lookups of Contract 'm'"):
        plain_contract("m", Ask, SHOP, entitty=("account",), compute=features, output=Output("y", "regressor"))  # type: ignore[call-arg,arg-type]
