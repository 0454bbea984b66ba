"""The dev book: the newest candidate over lookups in the warehouse, with the bits of PROD, and it says so."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec
import numpy as np
import pandera.pandas as pandera
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from penstock.client import Client, ServiceError
from penstock.contract.contract import Column, Columns, Contract, Feature, Lookup, Output
from penstock.declare import discovery
from penstock.declare.project import Declarations
from penstock.declare.table import ReplicatedTable
from penstock.postgres import roles
from penstock.publish.publish import publish
from penstock.releases.cards import CardStore
from penstock.serving.app import App
from penstock.settings import Settings
from penstock.testing import System, as_member, release_model, uvicorn_thread, wait_for
from penstock.warehouse.opening import open_warehouse
from tests.engine.cards import card
from tests.slow import slow_after

HOURS = [datetime(2026, 3, 29, hour, 30, tzinfo=UTC) for hour in range(9)]


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    id: int
    shop: str
    sku: int | None = None
    asked_at: datetime | None = None


def features(columns: Columns) -> dict[str, np.ndarray[Any, Any]]:
    return {
        "old": columns["price.price"],
        "young": columns["recent.price"],
        "area": columns["shop.area"],
        "age": (columns["asked_at"] - columns["price.known_at"]).astype(np.float64),
    }


PRICE = (Column("price", "number"), Column("known_at", "time"))
AS_OF = ("known_at", "asked_at")
CONTRACT = Contract(
    model="sale",
    purpose="Whether it sells.",
    request=Order,
    entity=("id",),
    lookups=(
        Lookup("price", "prices", {"shop": "shop", "sku": "sku"}, PRICE, as_of=AS_OF),
        Lookup("recent", "prices", {"shop": "shop", "sku": "sku"}, PRICE, as_of=AS_OF, max_age=timedelta(hours=1)),
        Lookup("shop", "shops", {"shop": "shop"}, (Column("area", "number"),), missing="reject"),
    ),
    features=tuple(Feature(name, "number") for name in ("old", "young", "area", "age")),
    compute=features,
    output=Output("sold", "classifier", ("kept", "sold")),
)
TABLES = {
    "prices": ReplicatedTable(
        "prices",
        "SELECT * FROM prices;",
        ("shop", "sku", "known_at"),
        pandera.DataFrameSchema(),
        lookups=CONTRACT.lookups[:2],
    ),
    "shops": ReplicatedTable(
        "shops", "SELECT * FROM shops", ("shop",), pandera.DataFrameSchema(), lookups=CONTRACT.lookups[2:]
    ),
}
REQUESTS = [
    {"id": number, "shop": shop, "sku": sku, "asked_at": (HOURS[0] + timedelta(minutes=37 * number)).isoformat()}
    for number, (shop, sku) in enumerate(
        (shop, sku) for shop in ("é", "B", "a") for sku in (1, 2, 3, None) for _ in (1, 2)
    )
]


def fill(settings: Settings) -> None:
    prices = ", ".join(
        f"('{shop}', {sku}, TIMESTAMP WITH TIME ZONE '{at.isoformat()}', {sku / 3 + at.hour})"
        for shop in ("é", "B")
        for sku in (1, 2)
        for at in HOURS[::2]
    )
    open_warehouse(settings).prepare(
        "CREATE TABLE prices AS SELECT CAST(shop AS VARCHAR(9)) AS shop, CAST(sku AS BIGINT) AS sku, known_at,"
        f" CAST(price AS DECIMAL(12,3)) AS price FROM (VALUES {prices}) AS t (shop, sku, known_at, price);"
        "CREATE TABLE shops (shop VARCHAR(9), area DOUBLE PRECISION);"
        "INSERT INTO shops VALUES ('é', 0.1), ('B', NULL), ('a', 7.5)"
    )


@dataclass(frozen=True)
class Both:
    """The services of a book and of the dev book, over the same rows."""

    prod: Client
    dev: Client
    dev_url: str
    settings: Settings


@pytest.fixture(params=slow_after(1, ["duckdb", "postgresql", "clickhouse"]))
def both(
    request: pytest.FixtureRequest,
    system: System,
    new_database: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Both]:
    if request.param == "postgresql":
        monkeypatch.setenv("PENSTOCK_WAREHOUSE_URL", new_database())
    if request.param == "clickhouse":
        (system.settings.home / "chdb").mkdir()
        monkeypatch.setenv("PENSTOCK_WAREHOUSE_URL", f"chdb://{system.settings.home / 'chdb'}")
    monkeypatch.setattr(discovery, "declared", lambda _: Declarations(tables=TABLES))
    settings, random = system.settings, np.random.default_rng(0)
    fill(settings)
    for table in TABLES.values():
        publish(system.extract(table), table, [system.test], who="test")
    vectors = random.uniform(0, 9, (500, 4))
    vectors[random.uniform(size=vectors.shape) < 0.2] = np.nan
    model = HistGradientBoostingClassifier(max_iter=20).fit(vectors, random.integers(0, 2, 500))
    entry = release_model(system.test, system.artifacts, CONTRACT, model, "2026-03")
    made = msgspec.structs.replace(card(entry.artifact), model="sale", contract=CONTRACT.digest())
    CardStore(system.artifacts.url).put(made)
    with ExitStack() as running:
        clients = []
        for url in (as_member(system.test, roles.SERVICE).url, ""):
            place = f"http://127.0.0.1:{running.enter_context(uvicorn_thread(App(settings, url, {'sale': CONTRACT})))}"
            clients.append(running.enter_context(Client(place, "sale", timeout=20)))
            wait_for(clients[-1].ready, 20)
        yield Both(clients[0], clients[1], place, settings)


def test_the_same_requests_have_the_same_bits_and_the_answers_say_what_they_are(both: Both) -> None:
    prod, dev = both.prod.predict_many(REQUESTS), both.dev.predict_many(REQUESTS)

    assert len(prod) == len(dev) == 24
    for ours, theirs in zip(dev, prod, strict=True):
        assert (ours.prediction, ours.probabilities) == (theirs.prediction, theirs.probabilities)
        assert ours.missing == theirs.missing
        assert (ours.book, ours.release, ours.snapshots, ours.unchanged) == ("dev", 0, {}, False)
        assert theirs.book is msgspec.UNSET
    assert {one.missing for one in dev} == {(), ("recent",), ("price", "recent")}
    assert len({str(one.probabilities) for one in dev}) > 4
    assert both.dev.predict(REQUESTS[0]).probabilities == prod[0].probabilities


def test_a_change_in_the_warehouse_is_in_the_next_answer(both: Both) -> None:
    before = both.dev.predict(REQUESTS[-1])
    assert "price" in before.missing
    open_warehouse(both.settings).prepare(
        "INSERT INTO prices SELECT 'a', 1, known_at, price FROM prices WHERE shop = 'B' AND sku = 1"
    )
    assert "price" not in both.dev.predict(REQUESTS[-1] | {"sku": 1}).missing


@pytest.mark.slow
def test_what_cannot_be_answered_is_refused_as_by_a_book(both: Both) -> None:
    faults = []
    for client in (both.prod, both.dev):
        with pytest.raises(ServiceError) as refused:
            client.predict_many([REQUESTS[0], REQUESTS[0] | {"shop": "nowhere"}])
        faults.append((refused.value.status, refused.value.document["faults"]))

    assert faults[0] == faults[1]
    assert faults[0][0] == 422


@pytest.mark.slow
def test_nothing_is_journaled_and_the_pages_say_what_is_served(both: Both) -> None:
    answer = both.dev.predict(REQUESTS[0])
    with httpx.Client(base_url=both.dev_url) as http:
        assert http.get("/models/sale/predictions").json() == []
        assert http.get(f"/models/sale/predictions/{answer.id}").status_code == 404
        ready = http.get("/readyz").json()
        assert ready["ready"]
        assert ready["serves"].startswith("the dev book")
        assert http.get("/models/sale").json()["state"]["artifact"] == answer.artifact
        assert http.get("/models/sale/card").status_code == 200
        assert http.get("/metrics").status_code == 200
        explained = http.post("/models/sale/predict", json=REQUESTS[0] | {"explain": True})
        assert explained.status_code == 422
        assert "the dev book has none" in explained.text
        inputs = [
            {"name": name, "shape": [1], "datatype": kind, "data": [REQUESTS[0][name]]}
            for name, kind in (("id", "INT64"), ("shop", "BYTES"), ("sku", "INT64"), ("asked_at", "BYTES"))
        ]
        assert http.post("/v2/models/sale/infer", json={"inputs": inputs}).status_code == 200


@pytest.mark.slow
def test_a_warehouse_that_refuses_is_503_and_no_prediction(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = {name: replace(table, query="SELECT * FROM nowhere") for name, table in TABLES.items()}
    monkeypatch.setattr(discovery, "declared", lambda _: Declarations(tables=tables))
    with Client(both.dev_url, "sale", repeat=False) as client, pytest.raises(ServiceError, match="nowhere") as refused:
        client.predict(REQUESTS[0])

    assert refused.value.status == 503


def test_without_a_candidate_it_says_what_to_do(system: System) -> None:
    with (
        uvicorn_thread(App(system.settings, "", {"sale": CONTRACT})) as port,
        Client(f"http://127.0.0.1:{port}", "sale", repeat=False) as client,
        pytest.raises(ServiceError, match="penstock train sale"),
    ):
        client.predict(REQUESTS[0])
