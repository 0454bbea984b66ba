"""What contracts need not write themselves: columns by kind, and features that are columns."""

from datetime import datetime
from typing import Any

import msgspec
import numpy as np
import pytest

from penstock.contract.columns import column
from penstock.contract.contract import Column, Columns, Contract, Feature, Lookup, Output
from penstock.contract.features import (
    Vectors,
    days_between,
    given,
    hour,
    numbers,
    plain_features,
    texts,
    times,
    weekday,
)
from penstock.errors import ContractError, Faults


class Ask(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    account: int
    plan: str
    paid: float | None = None
    joined: datetime | None = None
    asked_at: datetime | None = None


LOOKUPS = (
    Lookup("shop", key={"id": "account"}, columns=(*numbers("area", rent="EUR"), *texts("kind"), *times("since"))),
)


def features(columns: Columns) -> Vectors:
    return {"asked_hour": hour(columns["asked_at"])}


def contract(**more: Any) -> Contract:
    declared: dict[str, Any] = {
        "model": "m",
        "purpose": "",
        "request": Ask,
        "entity": ("account",),
        "lookups": LOOKUPS,
        "features": plain_features(Ask, LOOKUPS, but=("account",), computed=("asked_hour",)),
        "compute": features,
        "output": Output("y", "regressor"),
    }
    return Contract(**declared | more)


def test_a_lookup_is_called_as_its_table_and_lists_its_columns_by_kind() -> None:
    assert LOOKUPS[0].table == "shop"
    assert LOOKUPS[0].columns == (
        Column("area", "number"),
        Column("rent", "number", "EUR"),
        Column("kind", "text"),
        Column("since", "time"),
    )


def test_every_number_and_text_is_a_feature_but_those_left_out_and_times() -> None:
    assert contract().features == (
        Feature("plan", "text"),
        Feature("paid", "number"),
        Feature("shop.area", "number"),
        Feature("shop.rent", "number"),
        Feature("shop.kind", "text"),
        Feature("asked_hour", "number"),
    )


def test_a_feature_that_is_not_computed_is_the_column_of_its_name() -> None:
    at = np.array(["2026-11-25T06:30", "NaT"], dtype="datetime64[us]")
    text, number = np.array(["a", None], dtype=object), np.array([1.0, np.nan])
    columns = {"plan": text, "paid": number, "asked_at": at}
    columns |= {"shop.area": number, "shop.rent": number, "shop.kind": text}
    vectors = contract().vectors(columns)
    assert list(vectors) == [feature.name for feature in contract().features]
    assert vectors["shop.rent"] is number
    assert vectors["plan"] is text
    assert vectors["asked_hour"][0] == 6.5
    assert np.isnan(vectors["asked_hour"][1])


def test_a_feature_that_is_neither_computed_nor_a_column_is_named() -> None:
    declared = contract(features=(Feature("asked_hour", "number"), Feature("plam", "text")))
    with pytest.raises(ContractError, match="expected asked_hour, plam, found asked_hour"):
        declared.vectors({"asked_at": np.array(["2026-11-25"], dtype="datetime64[us]")})


def test_a_column_that_is_left_out_and_not_there_is_named_with_the_nearest() -> None:
    with pytest.raises(Faults, match=r"'acount'\. Did you mean account\?.*'shop.knd'\. Did you mean shop\.kind\?"):
        plain_features(Ask, LOOKUPS, but=("acount", "shop.knd"))


def test_whether_there_is_a_value_is_a_number() -> None:
    assert given(column(["gold", None, ""], "text")).tolist() == [1.0, 0.0, 1.0]
    assert given(column([0.0, None], "number")).tolist() == [1.0, 0.0]
    assert given(column([datetime(2026, 11, 25), None], "time")).tolist() == [1.0, 0.0]


def test_times_become_numbers_and_missing_ones_nan() -> None:
    times_ = np.array(["2026-11-25T12:00", "NaT"], dtype="datetime64[us]")
    before = np.array(["2026-11-23T00:00", "2026-11-23"], dtype="datetime64[us]")
    assert weekday(times_)[0] == 2.0
    assert days_between(times_, before)[0] == 2.5
    assert np.isnan([weekday(times_)[1], days_between(times_, before)[1]]).all()
