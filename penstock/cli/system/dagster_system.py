"""Dagster's three processes: one code server, shared by the webserver and the daemon."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

from penstock.cli.system.compat import dagster_daemon
from penstock.cli.system.dagster_code import DagsterCode
from penstock.cli.system.dagster_graphql import STILL_LOADING, GraphQL
from penstock.cli.system.environment import child_environment, variables
from penstock.errors import PenstockError
from penstock.log_text import cause
from penstock.processes import Processes, Record, free_port
from penstock.project import Project
from penstock.settings import Settings

CODE, WEB, DAEMON = "dagster-code", "dagster-webserver", "dagster-daemon"
PARTS = (CODE, WEB, DAEMON)
HOST = "127.0.0.1"
DEFINITIONS = ("penstock.graph.code_location", "definitions")  # the project's, loaded by the engine
START_SECONDS = 120
BROKEN_SECONDS = 3.0  # a load error that lasts so long is one of the code
NOT_REACHED = ("Could not reach user code server", "UNAVAILABLE", "DEADLINE_EXCEEDED")
RUN_NICENESS = 10  # of the code server, and so of the runs that it starts: who asks for a prediction comes first
STOP_SECONDS = 4.0  # for runs to say that they were ended; the code server itself never heeds TERM


class StartError(PenstockError):
    """A part of the system did not start."""


def url(settings: Settings) -> str:
    """Where the UI is."""
    return f"http://{HOST}:{settings.dagster_port}"


def graphql(settings: Settings) -> GraphQL:
    """The webserver's interface, for the code location of the project."""
    return GraphQL(url(settings), settings.demand_project().name)


def start(settings: Settings, definitions: tuple[str, ...] = DEFINITIONS) -> str:
    """Start what does not run, and wait until the code is loaded and the daemon beats.

    Where all runs, the project's files are read again if they changed, and the processes start again if the settings
    did. Returns "started", "read again", or "" where nothing was to do.

    `definitions` are the module of the code location, and what in it, where that has to be said.
    """
    project = settings.demand_project()
    processes = Processes(settings.state)
    code = processes.running(CODE)
    now = DagsterCode.now(settings, variables(settings))
    if code and all(processes.running(part) for part in PARTS):
        before, broken = DagsterCode.read(settings), _is_broken(graphql(settings))
        if before == now and not broken:
            return ""
        if before and before.settings == now.settings and not broken:
            _read_again(settings, processes, now)
            return "read again"
        _demand_no_run(settings)
        stop(settings)  # what did not load may be mended by now, and only a new code server reads it again
        code = None
    known = processes.find(CODE)
    port = code.port if code else free_port(HOST, known.port if known else 0)
    if code is None or (known and known.port != port):
        stop(settings)  # the webserver and the daemon know the code server by its port
    environment = child_environment(settings, code_port=port)
    workspace = ["-w", str(project.workspace)]
    web = ["-h", HOST, "-p", str(settings.dagster_port), *workspace]
    python = (sys.executable, "-m")
    commands = {
        CODE: [*python, "penstock.graph.code_server", "-h", HOST, "-p", str(port), *_target(project, definitions)],
        WEB: [*python, "dagster_webserver", *web, "--db-pool-max-overflow", "10"],
        DAEMON: [*dagster_daemon(), "run", *workspace],
    }
    ports = {CODE: port, WEB: settings.dagster_port, DAEMON: 0}
    for part, command in commands.items():
        if not processes.running(part):
            log = log_file(settings, part)
            niceness = RUN_NICENESS if part == CODE else 0
            root = project.root
            processes.start(part, command, log=log, env=environment, cwd=root, port=ports[part], niceness=niceness)
    now.write(settings)
    _wait(settings, processes)
    return "started"


def _demand_no_run(settings: Settings) -> None:
    """StartError where runs are under way, which would end with the processes."""
    if runs := graphql(settings).under_way():
        raise StartError(
            "Dagster, whose settings or code changed",
            expected="no run under way, so that it can start again",
            found=f"{runs} at {url(settings)}/runs",
            todo="Wait for them or end them there, then run `penstock up` again.",
        )


def read_again(settings: Settings) -> bool:
    """Let the code server read the project's files again if it runs and they changed; whether it did."""
    processes, before = Processes(settings.state), DagsterCode.read(settings)
    if before is None or not all(processes.running(part) for part in PARTS):
        return False
    now = DagsterCode.now(settings, variables(settings))
    if before.files == now.files:
        return False
    _read_again(settings, processes, now)
    return True


def _read_again(settings: Settings, processes: Processes, now: DagsterCode) -> None:
    """Runs that are under way go on with the code that they were started with."""
    graphql(settings).reload()
    now.write(settings)
    _wait(settings, processes)


def stop(settings: Settings) -> list[str]:
    """End the three processes and the runs that they started. Returns the names of those that ran."""
    return Processes(settings.state).stop_all(PARTS, grace=STOP_SECONDS)


def _target(project: Project, definitions: tuple[str, ...]) -> list[str]:
    options = [option for pair in zip(("-m", "-a"), definitions, strict=False) for option in pair]
    return [*options, "-d", str(project.root)]


def log_file(settings: Settings, part: str) -> Path:
    """Where a part writes."""
    return settings.home / "logs" / f"{part}.log"


def _wait(settings: Settings, processes: Processes) -> None:
    api = graphql(settings)
    checks: tuple[tuple[str, Callable[[], bool]], ...] = (
        (WEB, api.answers),
        (CODE, lambda: api.load_error() is None),
        (DAEMON, api.daemon_healthy),
    )
    deadline = time.monotonic() + START_SECONDS
    for part, ready in checks:
        broken_since = None
        while not ready():
            now = time.monotonic()
            stopped = next((name for name in PARTS if not processes.running(name)), None)
            if stopped:
                raise StartError(stopped, expected="running", found="it ended", todo=_tail(processes.find(stopped)))
            broken_since = (broken_since or now) if part == CODE and _is_broken(api) else None
            if broken_since and now > broken_since + BROKEN_SECONDS:
                raise StartError(
                    f"code location {api.location!r}",
                    expected="to load",
                    found=cause(api.load_error() or ""),
                    todo="Correct that, then run `penstock up` again.",
                )
            if now > deadline:
                raise StartError(
                    part,
                    expected=f"ready within {START_SECONDS} s",
                    found=cause(api.load_error() or "") if part == CODE else "not ready",
                    todo=_tail(processes.find(part)),
                )
            time.sleep(0.2)


def _is_broken(api: GraphQL) -> bool:
    """Whether the code was read and does not load; a code server that is not reached yet is none of it."""
    found = api.load_error()
    return found is not None and found != STILL_LOADING and not any(sign in found for sign in NOT_REACHED)


def _tail(record: Record | None) -> str:
    if record is None:
        return ""
    return f"Its log {record.log} ends with:\n{cause(Path(record.log).read_text(errors='replace'))}"
