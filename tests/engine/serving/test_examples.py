"""The example request of OpenAPI and of the live page: one that the service takes."""

from datetime import date, datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from penstock.contract.plain import Output, plain_contract
from penstock.serving.routes.openapi import example


class OrderRequest(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Fields with and without examples, needed and not."""

    order: Annotated[int, Meta(ge=5, le=90)]
    customer: Annotated[str, Meta(max_length=3)]
    code: Annotated[str, Meta(min_length=9)]
    price: Annotated[float, Meta(gt=1, le=1000)]
    low: Annotated[float, Meta(le=-4)]
    size: Literal["S", "M"]
    gift: bool
    asked_at: Annotated[datetime, Meta(tz=True)]
    wanted_on: date
    channel: Annotated[str, Meta(examples=["shop"])]
    note: str | None = None


def test_a_field_without_an_example_has_a_value_that_its_type_and_bounds_allow_or_is_left_out() -> None:
    output = Output("late", "classifier")
    made = example(plain_contract("orders", OrderRequest, entity=("order",), output=output, compute=lambda columns: {}))
    assert msgspec.json.decode(msgspec.json.encode(made), type=OrderRequest).channel == "shop"
    assert (made["order"], made["customer"], made["size"]) == (5, "cus", "M")
    assert "note" not in made
