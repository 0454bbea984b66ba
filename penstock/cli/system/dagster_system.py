"""Dagster's three processes: one code server, shared by the webserver and the daemon."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from penstock.cli.system.compat import dagster_daemon
from penstock.cli.system.dagster_code import DagsterCode
from penstock.cli.system.dagster_graphql import STILL_LOADING, GraphQL
from penstock.cli.system.environment import child_environment
from penstock.errors import PenstockError
from penstock.log_text import cause
from penstock.postgres.databases import Databases
from penstock.processes import Processes, Record, free_port
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


class DagsterSystem:
    """Dagster's processes of one home, for the project of its settings.

    `definitions` are the module of the code location, and what in it, where that has to be said.
    """

    def __init__(self, settings: Settings, definitions: tuple[str, ...] = DEFINITIONS) -> None:
        self._settings, self._definitions = settings, definitions
        self._processes = Processes(settings.state)

    @property
    def url(self) -> str:
        """Where the UI is."""
        return f"http://{HOST}:{self._settings.dagster_port}"

    @property
    def graphql(self) -> GraphQL:
        """The webserver's interface, for the code location of the project."""
        return GraphQL(self.url, self._settings.demand_project().name)

    def start(self) -> str:
        """Start what does not run, and wait until the code is loaded and the daemon beats.

        Where all runs, as after an `up` that was interrupted, the project's files are read again if they changed. The
        processes start again if the settings changed or the code does not load. Returns "started", "read again", or ""
        where nothing was to do.
        """
        processes, code, now = self._processes, self._processes.running(CODE), self._code_now()
        if code and self._all_run():
            before = DagsterCode.read(self._settings.state)
            if self._comes_up():
                if before == now:
                    return ""
                if before and before.settings == now.settings:
                    self._read_again(now)
                    return "read again"
            self._demand_no_run()
            self.stop()  # what did not load may be mended by now, and only a new code server reads it again
            code = None
        known = processes.find(CODE)
        port = code.port if code else free_port(HOST, known.port if known else 0)
        if code is None or (known and known.port != port):
            self.stop()  # the webserver and the daemon know the code server by its port
        self._start(port)
        now.write(self._settings.state)
        self._wait()
        return "started"

    def read_again(self) -> bool:
        """Let the code server read the project's files again if it runs and they changed; whether it did."""
        before = DagsterCode.read(self._settings.state)
        if before is None or not self._all_run():
            return False
        now = self._code_now()
        if before.files == now.files:
            return False
        self._read_again(now)
        return True

    def stop(self) -> list[str]:
        """End the three processes and the runs that they started. Returns the names of those that ran."""
        return self._processes.stop_all(PARTS, grace=STOP_SECONDS)

    def _all_run(self) -> bool:
        return all(self._processes.running(part) for part in PARTS)

    def _code_now(self) -> DagsterCode:
        return DagsterCode.now(
            self._settings.demand_project(), self._settings.home, Databases(self._settings).variables()
        )

    def _start(self, code_port: int) -> None:
        """Start the processes that do not run."""
        project, port = self._settings.demand_project(), self._settings.dagster_port
        resolved = Databases(self._settings).variables()
        environment = child_environment(project, self._settings.home, resolved, code_port=code_port)
        workspace = ["-w", str(project.workspace)]
        target = [option for pair in zip(("-m", "-a"), self._definitions, strict=False) for option in pair]
        code = ["-h", HOST, "-p", str(code_port), *target, "-d", str(project.root)]
        web = ["-h", HOST, "-p", str(port), *workspace, "--db-pool-max-overflow", "10"]
        python = (sys.executable, "-m")
        commands = {
            CODE: [*python, "penstock.graph.code_server", *code],
            WEB: [*python, "dagster_webserver", *web],
            DAEMON: [*dagster_daemon(), "run", *workspace],
        }
        ports = {CODE: code_port, WEB: port, DAEMON: 0}
        for part, command in commands.items():
            if not self._processes.running(part):
                self._processes.start(
                    part,
                    command,
                    log=self._log(part),
                    env=environment,
                    cwd=project.root,
                    port=ports[part],
                    niceness=RUN_NICENESS if part == CODE else 0,
                )

    def _log(self, part: str) -> Path:
        return self._settings.home / "logs" / f"{part}.log"

    def _demand_no_run(self) -> None:
        """StartError where runs are under way, which would end with the processes."""
        if runs := self.graphql.under_way():
            raise StartError(
                "Dagster, whose settings or code changed",
                expected="no run under way, so that it can start again",
                found=f"{runs} at {self.url}/runs",
                todo="Wait for them or end them there, then run `penstock up` again.",
            )

    def _read_again(self, now: DagsterCode) -> None:
        """Runs that are under way go on with the code that they were started with."""
        self.graphql.reload()
        now.write(self._settings.state)
        self._wait()

    def _comes_up(self) -> bool:
        try:
            self._wait()
        except StartError:
            return False
        return True

    def _wait(self) -> None:
        api, processes = self.graphql, self._processes
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
                        todo=f"Correct that, then run `penstock up` again. Its log is {self._log(CODE)}.",
                    )
                if now > deadline:
                    raise late(part, processes.find(part))
                time.sleep(0.2)


def late(part: str, record: Record | None) -> StartError:
    """What is said of a part that runs and is not ready in time."""
    return StartError(
        part,
        expected=f"ready within {START_SECONDS} s",
        found=f"it still starts, on {os.cpu_count()} cores at a load of {os.getloadavg()[0]:.0f}",
        todo=f"Run `penstock up` again: what has started goes on. {_tail(record)}".rstrip(),
    )


def _is_broken(api: GraphQL) -> bool:
    """Whether the code was read and does not load; a code server that is not reached yet is none of it."""
    found = api.load_error()
    return found is not None and found != STILL_LOADING and not any(sign in found for sign in NOT_REACHED)


def _tail(record: Record | None) -> str:
    if record is None:
        return ""
    return f"Its log {record.log} ends with:\n{cause(Path(record.log).read_text(errors='replace'))}"
