"""The candidate in a task of a real Ray head: the same artifact, its progress, and its errors in their own words."""

import socket
from collections.abc import Iterator
from dataclasses import replace

import msgspec
import pytest

from penstock.declare.model import Model
from penstock.errors import PenstockError
from penstock.postgres.book import Book
from penstock.processes import free_port
from penstock.serving.on_ray.cluster import RayCluster
from penstock.settings import Settings
from penstock.snapshots.store import Snapshot
from penstock.training.candidate import Candidate
from penstock.training.on_ray import connected
from penstock.training.run import TrainingRun
from penstock.training.skew import Skew
from tests.engine.training.tank_declarations import declared
from tests.engine.training.tanks import CONTRACT, rows_of

pytestmark = pytest.mark.usefixtures("stack")

MODEL = declared().model("overflow")


def test_a_cluster_that_is_not_there_is_named_with_its_setting() -> None:
    expected = "PENSTOCK_RAY_ADDRESS: expected a Ray cluster that answers"
    with pytest.raises(PenstockError, match=expected), connected(f"127.0.0.1:{free_port()}"):
        pass


def test_a_machine_that_is_no_node_of_the_cluster_is_told_so_in_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(PenstockError, match="no node of it; name its dashboard") as refused, connected(address):
            pass
    assert address in str(refused.value)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """The settings of a home with a Ray head of its own."""
    nowhere = "postgresql://127.0.0.1:1/none"
    home = tmp_path_factory.mktemp("home")
    made = Settings(home=home, http_port=free_port(), test_url=nowhere, prod_url=nowhere, dagster_url=nowhere)
    try:
        address = RayCluster(made).start().address
        with connected(address):  # once for all tests; without it each training connects by itself
            yield msgspec.structs.replace(made, ray_address=address)
    finally:
        RayCluster(made).stop()


def made(settings: Settings, model: Model, test: Book, said: list[str], holdout: Snapshot | None = None) -> Candidate:
    run = TrainingRun(settings, model, "2026-03", declared_in="tests.engine.training.tank_declarations")
    training, holdout = rows_of(settings, "2026-02"), holdout or rows_of(settings, "2026-03")
    return run.train(training, holdout, Skew(0, {}, {}), test, said.append)


def test_a_task_makes_the_candidate_that_this_process_makes_and_tells_its_steps(settings: Settings, book: Book) -> None:
    here, there = [], []
    expected = made(msgspec.structs.replace(settings, ray_address=""), MODEL, book, here)
    found = made(settings, MODEL, book, there)

    assert found == expected
    assert there[0].startswith("on Ray, process ")
    assert there[1:] == here
    assert any("fitting" in step for step in there)


def test_what_fails_in_the_task_fails_here_in_the_same_words(settings: Settings, book: Book) -> None:
    holdout = rows_of(settings, "2026-03")
    gone = replace(holdout, manifest=msgspec.structs.replace(holdout.manifest, id="f" * 64))
    with pytest.raises(PenstockError, match=f"snapshot {'f' * 12}: expected one in .*extract the table again"):
        made(settings, MODEL, book, [], gone)


def test_code_that_differs_on_the_node_is_refused_before_it_trains(settings: Settings, book: Book) -> None:
    other = replace(MODEL, contract=msgspec.structs.replace(CONTRACT, entity=("tank", "site")))
    with pytest.raises(PenstockError, match="Install the same code on Ray's nodes"):
        made(settings, other, book, [])
