"""Publishes and releases reach a replica; no answer mixes two snapshots."""

import threading

import msgspec
import pytest

from penstock.postgres.book import Book
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
    assert 'penstock_release_refused{model="overflow"} 3' in service.http.get("/metrics").text
    service.release(4)
    assert wait_for(lambda: service.ask(inflow=3.0).json()["release"] == 4)
    assert service.http.get("/readyz").json()["refused"] == {}
