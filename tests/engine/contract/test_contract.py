from datetime import UTC, date, datetime, timedelta, timezone
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pytest

from model_tools.flight_delay import CONTRACT
from penstock.contract.columns import column, instant, request_columns
from penstock.contract.contract import Column, Contract, Feature, Lookup, Output
from penstock.contract.registry import contract, contracts
from penstock.contract.request_types import kind_of
from penstock.errors import ContractError


class Ask(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    size: float | None = None
    asked_at: datetime | None = None


class Loose(msgspec.Struct):
    id: str
    asked_at: datetime | None = None


def made(**more: Any) -> Contract:
    declared: dict[str, Any] = {
        "model": "m",
        "purpose": "",
        "request": Ask,
        "entity": ("id",),
        "lookups": (),
        "features": (Feature("size", "number"),),
        "compute": lambda columns: {"size": columns["size"]},
        "output": Output("y", "regressor"),
    }
    return Contract(**declared | more)


def test_a_request_that_lets_unknown_fields_pass_is_refused() -> None:
    with pytest.raises(ContractError, match="forbid_unknown_fields"):
        made(request=Loose)


def test_a_lookup_by_a_field_that_the_request_lacks_is_refused_with_those_it_has() -> None:
    with pytest.raises(ContractError, match=r"lookup 'l' .* found 'colour'. Use one of asked_at, id, size"):
        made(lookups=(Lookup("l", "t", {"c": "colour"}, (Column("x", "number"),)),))


@pytest.mark.parametrize(
    ("as_of", "age"),
    [(None, timedelta(hours=1)), (("at", "asked_at"), timedelta(hours=-1))],
    ids=["no as_of", "below 0"],
)
def test_an_age_without_an_instant_or_below_zero_is_refused(as_of: tuple[str, str] | None, age: timedelta) -> None:
    with pytest.raises(ContractError, match="expected a max_age of zero or more, at most 100 years, and an as_of"):
        made(lookups=(Lookup("l", "t", {"c": "id"}, (Column("x", "number"),), as_of=as_of, max_age=age),))


def test_an_entity_that_is_no_field_is_refused() -> None:
    with pytest.raises(ContractError, match="'name'"):
        made(entity=("name",))


def test_features_other_than_the_declared_ones_are_refused_by_name() -> None:
    with pytest.raises(ContractError, match="expected size, found length"):
        made(compute=lambda columns: {"length": columns["size"]}).vectors({"size": np.zeros(1)})


def test_the_digest_changes_with_what_training_and_serving_must_agree_on() -> None:
    digest = made().digest()

    assert made().digest() == digest
    assert made(purpose="said otherwise").digest() == digest
    assert made(features=(Feature("size", "text"),)).digest() != digest
    assert made(lookups=(Lookup("l", "t", {"c": "id"}, (Column("x", "number"),)),)).digest() != digest

    lookup = Lookup("l", "t", {"c": "id"}, (Column("x", "number"),), as_of=("at", "asked_at"))
    aged = made(lookups=(msgspec.structs.replace(lookup, max_age=timedelta(hours=1)),))
    assert aged.digest() != made(lookups=(lookup,)).digest()


@pytest.mark.parametrize(
    ("annotation", "kind"),
    [
        (int, "number"),
        (float | None, "number"),
        (bool, "number"),
        (Annotated[str, msgspec.Meta(min_length=1)] | None, "text"),
        (Annotated[datetime, msgspec.Meta(tz=True)], "time"),
        (date, "time"),
    ],
)
def test_each_plain_type_has_a_kind(annotation: Any, kind: str) -> None:
    assert kind_of(annotation) == kind


@pytest.mark.parametrize("annotation", [list[int], dict[str, int], str | int])
def test_other_types_are_refused(annotation: Any) -> None:
    with pytest.raises(ContractError, match="request field type"):
        kind_of(annotation)


def test_columns_hold_missing_values_and_instants_in_utc() -> None:
    new_york = timezone(timedelta(hours=-5))

    numbers = column([1, None, 2.5], "number")
    times = column([datetime(2026, 1, 1, 7, tzinfo=new_york), None, datetime(2026, 1, 1, 12)], "time")
    texts = column(["a", None], "text")

    assert numbers[0] == 1
    assert np.isnan(numbers[1])
    assert times[0] == times[2] == np.datetime64("2026-01-01T12:00:00", "us")
    assert np.isnat(times[1])
    assert texts.tolist() == ["a", None]


def test_times_that_look_alike_are_each_the_instant_that_they_are() -> None:
    zurich = ZoneInfo("Europe/Zurich")
    noon, again = datetime(2026, 1, 1, 12, tzinfo=UTC), datetime(2026, 1, 1, 12, tzinfo=UTC)
    late = datetime(2026, 10, 25, 2, 30, tzinfo=zurich)
    times = [
        noon,
        again,
        noon.replace(tzinfo=None),
        None,
        None,
        noon,
        noon.astimezone(zurich),
        late,
        late.replace(fold=1),
    ]
    times += [noon, noon.date(), date(2026, 1, 1)]

    alike = ([noon, again], times[7:9], [None, None], [noon, None, noon.date(), again, noon.replace(tzinfo=None)], [])
    for some in (times, *alike):
        found = column(some, "time").view(np.int64).tolist()
        assert found == [np.iinfo(np.int64).min if time is None else instant(time) for time in some]
    assert np.diff(column(times[7:9], "time")) == np.timedelta64(1, "h")


def test_requests_become_one_column_per_field() -> None:
    asked = [Ask("a", 1.5, datetime(2026, 1, 1, tzinfo=UTC)), Ask("b")]

    columns = request_columns(made(), asked)

    assert columns["id"].tolist() == ["a", "b"]
    assert columns["size"][0] == 1.5
    assert np.isnat(columns["asked_at"][1])


def test_the_shipped_contracts_are_found_by_name() -> None:
    assert contracts()["flight_delay"] is CONTRACT
    with pytest.raises(ContractError, match="expected one of flight_delay"):
        contract("nothing")


def test_features_are_the_same_bits_alone_and_among_thousands() -> None:
    random = np.random.default_rng(0)
    rows = 5_000
    columns: dict[str, Any] = {}
    for name, kind in CONTRACT.input_kinds().items():
        if kind == "time":
            columns[name] = np.datetime64("2026-01-01", "us") + random.integers(0, 10**13, rows)
        else:
            columns[name] = random.normal(size=rows) if kind == "number" else np.full(rows, "JFK", dtype=object)
    together = CONTRACT.vectors(columns)

    assert len(together) == len(CONTRACT.features)
    for row in range(0, rows, 500):
        alone = CONTRACT.vectors({name: values[row : row + 1] for name, values in columns.items()})
        assert list(alone) == list(together)
        for name, values in alone.items():
            assert values.tobytes() == together[name][row : row + 1].tobytes()
