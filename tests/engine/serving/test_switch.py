"""Publishes and releases reach a replica; no answer mixes two snapshots."""

import asyncio
import threading

import msgspec
import pytest

from penstock.contract.contract import Contract
from penstock.errors import PenstockError
from penstock.postgres.book import Book
from penstock.serving.app import App
from tests.engine.serving import toy
from tests.engine.serving.conftest import Service, Start, wait_for


@pytest.mark.slow
def test_each_answer_fits_the_snapshot_that_it_names_while_tables_switch(service: Service) -> None:
    heights = {toy.publish_tanks(service.book, height): height for height in (5.0, 50.0)}
    stop = threading.Event()

    def switch() -> None:
        while not stop.is_set():
            for height in heights.values():
                toy.publish_tanks(service.book, height)

    thread = threading.Thread(target=switch)
    thread.start()
    try:
        for n in range(300):
            answer = service.ask(inflow=n / 10)
            assert answer.status_code == 200, answer.text
            made = service.http.get(f"/models/overflow/predictions/{answer.json()['id']}").json()
            assert made["looked_up"]["tank"]["height"] == heights[made["snapshots"]["tanks"]] + 1
    finally:
        stop.set()
        thread.join()


def test_a_dropped_physical_table_is_noticed_and_read_from_its_successor(service: Service) -> None:
    service.ask()
    with service.book.connect() as connection:
        old = connection.execute("SELECT physical FROM replicated.current WHERE table_name = 'tanks'").fetchone()
        connection.execute("SELECT pg_notify('nobody', '')")
    assert old is not None
    toy.publish_tanks(service.book, height=8.0)
    with service.book.connect() as connection:
        connection.execute(f'DROP TABLE replicated."{old[0]}"')
    assert service.ask().status_code == 200


def test_nothing_released_yet_is_503_and_becomes_ready_by_itself(start: Start, book: Book) -> None:
    service = start()
    answer = service.ask()
    assert answer.status_code == 503
    assert "no release yet" in answer.json()["detail"]
    assert answer.headers["retry-after"]
    assert service.http.get("/readyz").status_code == 503
    toy.publish_all(book)
    service.release(1)
    assert wait_for(lambda: service.ask().status_code == 200)
    assert service.http.get("/readyz").status_code == 200


def test_a_release_that_cannot_be_served_leaves_the_old_one_in_place(service: Service) -> None:
    assert service.ask().json()["release"] == 1
    service.release(2, digest="0" * 64)
    refused = wait_for(lambda: service.http.get("/readyz").json()["refused"].get("overflow"))
    assert refused["release"] == 2
    assert "0000" in refused["reason"]
    assert service.ask(inflow=1.0).json()["release"] == 1
    service.release(3, contract=msgspec.structs.replace(toy.CONTRACT, entity=("tank",)))
    assert wait_for(lambda: service.http.get("/readyz").json()["refused"]["overflow"]["release"] == 3)
    assert service.ask(inflow=2.0).json()["release"] == 1
    assert service.http.get("/readyz").json()["refused"]["overflow"]["serves"] == 1
    assert 'penstock_release_refused{model="overflow"} 3' in service.http.get("/metrics").text
    service.release(4)
    assert wait_for(lambda: service.ask(inflow=3.0).json()["release"] == 4)
    assert service.http.get("/readyz").json()["refused"] == {}


def test_a_replica_falls_back_to_the_newest_release_that_its_code_can_serve_and_says_so(
    service: Service, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    """Newest is what became current last: release 2 was rolled back to after 3."""
    for version in (2, 3):
        service.release(version)
        assert wait_for(lambda version=version: service.serves() == version)
    with service.book.connect() as connection:
        connection.execute(
            "INSERT INTO app.release (model, release, action, artifact, contract, period, training_snapshot,"
            " holdout_snapshot, metrics, gate, code_version, who, why) SELECT model, release, 'rollback', artifact,"
            " contract, period, training_snapshot, holdout_snapshot, metrics, gate, code_version, who, 'bad'"
            " FROM app.release WHERE release = 2"
        )
    service.release(4, contract=msgspec.structs.replace(toy.CONTRACT, entity=("tank",)))
    restarted = start()
    assert restarted.ask(inflow=3.0).json()["release"] == 2
    ready = restarted.http.get("/readyz")
    assert ready.status_code == 200
    refused = ready.json()["refused"]["overflow"]
    assert (refused["release"], refused["serves"]) == (4, 2)
    assert "contract of release 4" in refused["reason"]
    said = [record.message for record in caplog.records if "release 4 of overflow is not served" in record.message]
    assert said
    assert any("release 2 is served" in text for text in said)
    service.release(5)
    assert wait_for(lambda: restarted.ask(inflow=4.0).json()["release"] == 5)


def test_where_no_release_fits_the_code_a_new_replica_says_so(service: Service, start: Start) -> None:
    other = start(contract=msgspec.structs.replace(toy.CONTRACT, entity=("tank",)))
    answer = other.ask()
    assert answer.status_code == 503
    assert "release 1 cannot be served: contract of release 1" in answer.json()["detail"]
    assert service.ask(inflow=7.0).status_code == 200


def test_a_replica_of_a_deploy_that_cannot_serve_what_is_served_does_not_start(service: Service) -> None:
    """Ray asks before the replica gets a request. A model that it does not know, or without a release, is no reason."""
    other = msgspec.structs.replace(toy.CONTRACT, entity=("tank",))
    unreleased = msgspec.structs.replace(toy.CONTRACT, model="unreleased")

    async def demand(contract: Contract, *models: str) -> None:
        app = App(service.settings, service.book.url, {contract.model: contract})
        await app.start()
        try:
            await app.demand(models, 5)
        finally:
            await app.stop()

    asyncio.run(demand(toy.CONTRACT, "overflow", "removed"))
    asyncio.run(demand(unreleased))
    with pytest.raises(PenstockError, match="overflow: release 1 cannot be served: contract of release 1"):
        asyncio.run(demand(other, "overflow"))
