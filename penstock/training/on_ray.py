"""Training in a Ray task: the driver sends plain arguments; the task returns its progress, and at last the candidate.

The task reads the snapshot store and writes the artifact store itself. No model, rows or estimator are sent.
"""

import os
import socket
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from tempfile import gettempdir
from threading import Thread
from typing import Any

import msgspec
import psutil

from penstock.errors import PenstockError
from penstock.processes import give_way, let_waiting_threads_sleep
from penstock.training.candidate import Candidate, Job, Say, work_alone
from penstock.training.threads import thread_limit

QUIET_SECONDS = 30.0
CONNECT_SECONDS = 10.0
NICENESS = 10
_SWITCHES = {
    "RAY_AUTH_MODE": "disabled",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # else Ray turns 127.0.0.1 into the machine's outer address
    "RAY_USAGE_STATS_ENABLED": "0",
}
"""Ray's environment variables that this driver sets, unless its own environment does."""


class Progress(msgspec.Struct, frozen=True, tag=True):
    """A step that the task has begun."""

    text: str


class Failure(msgspec.Struct, frozen=True, tag=True):
    """The error with which the task ended, as the parts of a PenstockError."""

    thing: str
    expected: str
    found: str
    todo: str


class Result(msgspec.Struct, frozen=True, tag=True):
    """The candidate, with which the task ended."""

    candidate: Candidate


def train_on_ray(address: str, job: Job, options: Mapping[str, Any], say: Say) -> Candidate:
    """The candidate of the job, trained in a task of the cluster.

    PenstockError with the task's own words if it fails, and for a cluster that cannot be reached or a worker that died.
    """
    with connected(address) as ray:
        asked = {"num_cpus": 1} | dict(options)
        task = ray.remote(_task).options(num_returns="streaming", max_retries=0, **asked)
        answers = task.remote(msgspec.json.encode(job), threads_of(asked))
        try:
            return candidate_of(job, _messages(ray, answers, say), say)
        except ray.exceptions.RayError as error:
            raise failed(job.model, str(error).strip()) from error
        except BaseException:
            ray.cancel(answers)
            raise


def threads_of(options: Mapping[str, Any]) -> int:
    """How many threads a training computes with that asks for these resources."""
    return max(int(options["num_cpus"]), 1)


def candidate_of(job: Job, messages: Iterator[Progress | Failure | Result], say: Say) -> Candidate:
    """The candidate that a task's messages end with. PenstockError in its words where they end otherwise."""
    for message in messages:
        match message:
            case Progress(text):
                say(text)
            case Failure(thing, expected, found, todo):
                raise PenstockError(thing, expected=expected, found=found, todo=todo)
            case Result(candidate):
                return candidate
    raise failed(job.model, "an end without an answer")


def _messages(ray: Any, answers: Any, say: Say) -> Iterator[Progress | Failure | Result]:
    """The task's messages as they arrive. After a long silence `say` is told why that may be."""
    while True:
        ready, _ = ray.wait([answers], timeout=QUIET_SECONDS, fetch_local=False)
        if not ready:
            say(f"Ray has said nothing for {QUIET_SECONDS:.0f} s; a task waits until the CPUs it asks for are free")
            continue
        try:
            reference = next(answers)
        except StopIteration:
            return
        yield msgspec.json.decode(ray.get(reference), type=Progress | Failure | Result)


def _task(job: bytes, threads: int) -> Iterator[bytes]:
    """Runs on a node of Ray."""
    yield from messages_of(job, threads)


def messages_of(job: bytes, threads: int) -> Iterator[bytes]:
    """Train in a thread, with a lower priority than replicas of this node, and yield the messages as JSON."""
    give_way(NICENESS)
    let_waiting_threads_sleep()
    said: SimpleQueue[Progress | Failure | Result | None] = SimpleQueue()
    Thread(target=_work, args=(msgspec.json.decode(job, type=Job), threads, said), daemon=True).start()
    yield msgspec.json.encode(Progress(f"on Ray, process {os.getpid()}"))
    while (message := said.get()) is not None:
        yield msgspec.json.encode(message)


def _work(job: Job, threads: int, said: "SimpleQueue[Progress | Failure | Result | None]") -> None:
    cache = Path(gettempdir()) / f"penstock-{os.getuid()}" / "artifacts"
    try:
        cache.parent.mkdir(mode=0o700, exist_ok=True)
        with thread_limit(threads):
            made = work_alone(job, cache, lambda text: said.put(Progress(text)))
        said.put(Result(made))
    except PenstockError as error:
        said.put(Failure(error.thing, error.expected, error.found, error.todo))
    except BaseException:
        said.put(Failure(f"training of {job.model} in a Ray task", "to succeed", traceback.format_exc().strip(), ""))
    finally:
        said.put(None)


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """Ray, connected to the cluster as a driver of its own. A process that is connected already stays connected."""
    for name, value in _SWITCHES.items():
        os.environ.setdefault(name, value)
    import ray

    if ray.is_initialized():
        yield ray
        return
    try:
        _demand_listener(address)
        _demand_node(address)
        ray.init(address=address, log_to_driver=False, configure_logging=False)
    except (OSError, RuntimeError, ValueError) as error:
        raise PenstockError(
            "PENSTOCK_RAY_ADDRESS",
            expected="a Ray cluster that answers",
            found=f"{address!r}: {str(error).strip()[:300]}",
            todo="Start it, correct the address, or unset the variable to train in this process.",
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _demand_listener(address: str) -> None:
    """OSError where nothing listens, because Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()


def _demand_node(address: str) -> None:
    """ValueError where this machine is no node of the cluster: Ray itself would say so in dozens of lines of C++."""
    port = address.rpartition(":")[2]
    if address.startswith("ray://") or not port.isdecimal():
        return
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        if any(one.startswith("--gcs-address=") and one.endswith(f":{port}") for one in command):
            return
    raise ValueError("this machine is no node of it; name its dashboard, http://HEAD:8265, and a job of it trains")


def failed(model: str, found: str) -> PenstockError:
    """Why no candidate came of a task or job."""
    return PenstockError(
        f"training of {model} in a Ray task", expected="a candidate", found=found, todo="See the logs of Ray's workers."
    )
