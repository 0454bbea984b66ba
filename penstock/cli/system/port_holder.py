"""Who listens at a port: another Penstock project, by the environment of its process, or another program."""

from contextlib import suppress
from dataclasses import dataclass

import psutil

from penstock.settings import HOME, PROJECT

UNKNOWN = "another program"


@dataclass(frozen=True)
class PortHolder:
    """Who listens at a port, in words, and what ends that program."""

    name: str = UNKNOWN
    end: str = "End that program"

    @classmethod
    def of(cls, port: int) -> "PortHolder":
        """UNKNOWN where the process is another user's, and this one is not root."""
        with suppress(psutil.Error):
            for connection in psutil.net_connections("tcp"):
                if connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,) and connection.pid:
                    return cls._of(psutil.Process(connection.pid))
        return cls()

    @classmethod
    def _of(cls, process: psutil.Process) -> "PortHolder":
        environment = process.environ()
        if not (home := environment.get(HOME)):
            return cls(f"{UNKNOWN}, {process.name()} (process {process.pid})")
        project, todo = environment.get(PROJECT, ""), f"Run `{HOME}={home} penstock down`"
        return cls(f"the Penstock project {project} (its {HOME} is {home})", f"{todo} in {project}")
