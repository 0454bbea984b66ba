"""What a contract's digest depends on, and that digests of before are known."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
import pytest

from penstock.contract.contract import Contract, Feature
from penstock.contract.digest import former_digest
from tests.engine.contract.former import CONTRACT, features

OF_VERSION_0_1_0 = "b3da94e405facab682d64c5d2771cb908ccc89471a62a349cfbc901ba2815c93"
NOW = "72b6e0e71ae3b176b3522e162aeeb2d766c29e2c800e4b5760066241d5752bcc"


def test_a_digest_of_before_is_known() -> None:
    assert former_digest(CONTRACT) == OF_VERSION_0_1_0
    assert CONTRACT.digest() == NOW, "releases in the books of users are known by it: it may never change"
    assert CONTRACT.is_of(OF_VERSION_0_1_0)
    assert CONTRACT.is_of(NOW)
    assert not CONTRACT.is_of("0" * 64)


def request(**more: Any) -> type[msgspec.Struct]:
    """The request of the contract, with the type and default of a field replaced."""
    fields = {
        "depot": (Annotated[str, msgspec.Meta(min_length=1)], msgspec.NODEFAULT),
        "weight": (Annotated[float, msgspec.Meta(gt=0)], 1.0),
        "asked_at": (datetime | None, None),
    }
    listed = [(name, *(fields | more)[name]) for name in fields | more]
    return msgspec.defstruct("Ask", listed, forbid_unknown_fields=True, kw_only=True)


@pytest.mark.parametrize(
    "changes",
    [
        {"purpose": "another"},
        {"request": request()},
        {"request": request(depot=(Annotated[str, msgspec.Meta(min_length=1, title="x")], msgspec.NODEFAULT))},
        {"features": (Feature("weight", "number", "tons"), Feature("load", "number"))},
        {"output": msgspec.structs.replace(CONTRACT.output, unit="")},
        {"lookups": (msgspec.structs.replace(CONTRACT.lookups[0], budget_ms=1.0),)},
        {"journal": "relaxed"},
    ],
)
def test_what_only_describes_does_not_change_it(changes: dict[str, Any]) -> None:
    assert msgspec.structs.replace(CONTRACT, **changes).digest() == NOW


def other(columns: Any) -> Any:
    """Other features."""
    return features(columns)


@pytest.mark.parametrize(
    "changes",
    [
        {"model": "other"},
        {"request": request(weight=(float, 1.0))},
        {"request": request(weight=(Annotated[float, msgspec.Meta(gt=0)], 2.0))},
        {"request": request(more=(int, 3))},
        {"features": (Feature("load", "number"), Feature("weight", "number"))},
        {"output": msgspec.structs.replace(CONTRACT.output, classes=("yes", "no"))},
        {"lookups": (msgspec.structs.replace(CONTRACT.lookups[0], missing="reject"),)},
        {"compute": other},
    ],
)
def test_what_training_and_serving_must_agree_on_changes_it(changes: dict[str, Any]) -> None:
    made: Contract = msgspec.structs.replace(CONTRACT, **changes)
    assert made.digest() != NOW
    assert not made.is_of(OF_VERSION_0_1_0)
