import os
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psutil
import pytest

from penstock.cli.system import dagster_system
from penstock.cli.system.dagster_graphql import PLAN, RUN, DagsterError, GraphQL
from penstock.cli.system.dagster_runs import MissingRun, RunError, follow, materialize, missing_runs
from penstock.cli.system.dagster_system import DagsterSystem
from penstock.postgres.book import Book
from penstock.postgres.databases import Databases
from penstock.processes import Processes, free_port
from penstock.settings import Settings

RELEASE = """WITH made AS (INSERT INTO app.release (model, release, action, artifact, contract, period,
        training_snapshot, holdout_snapshot, metrics, gate, code_version, who, why)
    VALUES (%(model)s, 1, 'release', 'a', 'c', '2026-10', 's', 'h', '{}', '{}', 'v', 'me', 'try') RETURNING entry)
INSERT INTO app.current_release SELECT %(model)s, entry, 1, 'a', 'c' FROM made"""
POINTER = """INSERT INTO replicated.current (table_name, snapshot, physical, rows, bytes, as_of)
    VALUES (%(table)s, 's', 'p', 1, 0, now())"""
TINY = ("tests.engine.cli.tiny_definitions",)


@pytest.fixture(scope="module")
def settings(stack: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A home in which Dagster's three processes run over a tiny code location."""
    made = Settings(home=tmp_path_factory.mktemp("home"), dagster_port=free_port())
    Databases(made).server({"fsync": "off"}).start()
    try:
        assert DagsterSystem(made, TINY).start()
        yield made
    finally:
        DagsterSystem(made).stop()
        Databases(made).stop()


@pytest.fixture(scope="module")
def api(settings: Settings) -> GraphQL:
    return DagsterSystem(settings).graphql


def test_what_runs_already_is_not_started_again(settings: Settings) -> None:
    before = Processes(settings.state).all()
    assert not DagsterSystem(settings, TINY).start()
    assert Processes(settings.state).all() == before
    assert {record.name for record in before} == set(dagster_system.PARTS)


def test_runs_come_after_predictions_where_the_cpu_is_short(settings: Settings) -> None:
    niceness = {part.name: psutil.Process(part.pid).nice() for part in Processes(settings.state).all()}
    ours = os.getpriority(os.PRIO_PROCESS, 0)
    assert niceness[dagster_system.CODE] == max(ours, 10)
    assert niceness[dagster_system.WEB] == ours


def test_a_job_runs_for_its_newest_partition_and_the_ui_shows_the_run(api: GraphQL) -> None:
    assert api.partitions("good") == ["2026-01-01", "2026-02-01", "2026-03-01"]
    shown: list[tuple[str, int, int]] = []
    url = materialize(api, "good", lambda *progress: shown.append(progress))
    query = "query($run: ID!) { runOrError(runId: $run) { ... on Run { status tags { key value } } } }"
    run = api.ask(query, run=url.rpartition("/")[2])["runOrError"]
    assert run["status"] == "SUCCESS"
    assert {"key": "dagster/partition", "value": "2026-03-01"} in run["tags"]
    assert shown[-1] == ("monthly", 1, 1)


def test_a_job_runs_for_the_newest_partition_whose_outcomes_are_known_if_there_is_one(api: GraphQL) -> None:
    url = materialize(api, "good", lambda *_: None, "2026-02-28")
    query = "query($run: ID!) { runOrError(runId: $run) { ... on Run { tags { key value } } } }"
    run = api.ask(query, run=url.rpartition("/")[2])["runOrError"]
    assert {"key": "dagster/partition", "value": "2026-02-01"} in run["tags"]
    with pytest.raises(RunError, match="found 2026-01-01 as its first, and outcomes up to 2025-12-01"):
        materialize(api, "good", lambda *_: None, "2025-12-01")


def test_a_failed_run_names_the_step_the_error_and_where_to_look(api: GraphQL, settings: Settings) -> None:
    with pytest.raises(RunError) as refused:
        materialize(api, "bad", lambda *_: None)
    assert "step broken: ValueError: the river is dry" in str(refused.value)
    assert f"See http://127.0.0.1:{settings.dagster_port}/runs/" in str(refused.value)


def test_an_unknown_job_is_refused_by_name(api: GraphQL) -> None:
    with pytest.raises(DagsterError, match="'absent'"):
        api.partitions("absent")


def test_a_lost_part_is_started_again_and_the_others_keep_running(settings: Settings) -> None:
    processes = Processes(settings.state)
    web = processes.running(dagster_system.WEB)
    assert processes.stop(dagster_system.DAEMON, grace=2)
    assert DagsterSystem(settings, TINY).start()
    assert processes.running(dagster_system.DAEMON)
    assert processes.running(dagster_system.WEB) == web


def test_a_run_waits_for_a_code_server_that_starts_anew(api: GraphQL, settings: Settings) -> None:
    processes = Processes(settings.state)
    daemon = processes.running(dagster_system.DAEMON)
    assert daemon
    os.kill(daemon.pid, signal.SIGSTOP)
    run = api.launch("good", "2026-01-01")
    assert processes.stop(dagster_system.CODE, grace=1)
    os.kill(daemon.pid, signal.SIGCONT)

    def refused() -> bool:
        events = api.ask(RUN, run=run, after=None)["logsForRun"]["events"]
        return any(event["__typename"] == "EngineEvent" and event["error"] for event in events)

    end = time.monotonic() + 60
    while not refused():
        assert time.monotonic() < end
        time.sleep(0.2)
    assert DagsterSystem(settings, TINY).start()
    follow(api, run, lambda *_: None)


def test_a_run_that_an_interrupted_up_has_launched_is_followed(api: GraphQL, settings: Settings) -> None:
    daemon = Processes(settings.state).running(dagster_system.DAEMON)
    assert daemon
    os.kill(daemon.pid, signal.SIGSTOP)
    try:
        run = api.launch("good", "2026-03-01")
        some = api.launch("several", assets=["calm"], checks=[("calm", "deep")])
        assert api.launched("good", "2026-03-01") == run
        assert api.launched("several", assets=["calm"]) == some
        others: list[tuple[str, str, list[str]]] = [("good", "2026-02-01", []), ("several", "", []), ("bad", "", [])]
        assert {api.launched(*other) for other in others} == {""}
        assert GraphQL(api.url, "another").launched("good", "2026-03-01") == ""
    finally:
        os.kill(daemon.pid, signal.SIGCONT)
    assert materialize(api, "good", lambda *_: None).endswith(run)
    follow(api, some, lambda *_: None)
    assert api.launched("good", "2026-03-01") == ""


def test_a_run_that_dagster_itself_gives_up_says_why() -> None:
    class GivenUp(GraphQL):
        def ask(self, query: str, **variables: Any) -> dict[str, Any]:
            if query == PLAN:
                return {"runOrError": {}}
            unreachable = {"message": "Could not reach user code server", "causes": []}
            events = [
                {"__typename": "EngineEvent", "message": "dequeued", "stepKey": None, "error": None},
                {"__typename": "EngineEvent", "message": "not launched", "stepKey": None, "error": unreachable},
                {"__typename": "RunFailureEvent", "message": "from outside", "stepKey": None, "error": None},
            ]
            return {"runOrError": {"status": "FAILURE"}, "logsForRun": {"events": events, "hasMore": False}}

    with pytest.raises(RunError, match="Could not reach user code server"):
        follow(GivenUp("http://127.0.0.1:1", "flights"), "0123456789", lambda *_: None)


def test_a_webserver_that_is_away_is_a_refusal() -> None:
    with pytest.raises(DagsterError, match=r"webserver at .* See `penstock status`"):
        GraphQL(f"http://127.0.0.1:{free_port()}", "flights").partitions("good")


def test_another_program_that_answers_in_its_stead_is_one_too() -> None:
    """Seen: a gRPC server took the port, and `up` ended with its bytes as a message."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        other = GraphQL(f"http://127.0.0.1:{server.getsockname()[1]}", "flights")

        def greet() -> None:
            for _ in range(2):
                with server.accept()[0] as connection:
                    connection.recv(100_000)
                    connection.sendall(b"\0\0\x24\4\0\0\0\0\0\0\x03\x7f\xff\xff\xff")

        with ThreadPoolExecutor(1) as pool:
            done = pool.submit(greet)
            assert not other.answers()
            with pytest.raises(DagsterError, match=r"webserver at .*: found an answer .* See `penstock status`"):
                other.partitions("good")
            done.result()


def test_a_run_may_take_some_assets_and_checks_of_a_job(api: GraphQL) -> None:
    steps: list[str] = []
    follow(api, api.launch("several", assets=["calm"], checks=[("calm", "deep")]), lambda step, *_: steps.append(step))
    assert "calm" in steps
    assert "broken" not in steps


def test_an_empty_book_needs_everything_of_a_model(prod_book: Book) -> None:
    assert list(missing_runs(prod_book, {"m": ["a", "b"], "n": []})) == [
        [MissingRun("everything_for_m", "m"), MissingRun("train_n", "n")]
    ]


def test_models_that_lack_the_same_table_wait_for_the_run_that_makes_it(prod_book: Book) -> None:
    lists = missing_runs(prod_book, {"m": ["a"], "n": ["a", "b"], "o": ["c"], "p": ["a"], "q": []})
    first = ["everything_for_m", "everything_for_o", "train_q"]
    assert [run.job for run in next(lists)] == first
    with prod_book.connect() as connection:
        for table in ("a", "c"):
            connection.execute(POINTER, {"table": table})
    assert [[run.job for run in together] for together in lists] == [["everything_for_n", "train_p"]]


def test_a_table_that_no_run_makes_ends_no_sooner_than_its_models(prod_book: Book) -> None:
    lists = list(missing_runs(prod_book, {"m": ["a"], "n": ["a"]}))
    assert [[run.model for run in together] for together in lists] == [["m"], ["n"]]


def test_only_what_is_missing_is_made_and_nothing_twice(prod_book: Book) -> None:
    with prod_book.connect() as connection:
        connection.execute(RELEASE, {"model": "m"})
    assert list(missing_runs(prod_book, {"m": []})) == []
    runs = missing_runs(prod_book, {"m": ["a", "b"], "n": ["b"], "o": ["b", "c"]})
    assert next(runs) == [MissingRun("replicate_tables", tables=("a", "b"))]
    with prod_book.connect() as connection:
        for table in ("a", "b"):
            connection.execute(POINTER, {"table": table})
    assert list(runs) == [[MissingRun("train_n", "n"), MissingRun("everything_for_o", "o")]]


def test_a_model_that_was_released_by_hand_meanwhile_is_not_trained(prod_book: Book) -> None:
    lists = missing_runs(prod_book, {"m": ["a"], "n": ["a"]})
    assert [run.job for run in next(lists)] == ["everything_for_m"]
    with prod_book.connect() as connection:
        connection.execute(POINTER, {"table": "a"})
        connection.execute(RELEASE, {"model": "n"})
    assert list(lists) == []
