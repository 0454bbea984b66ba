"""The two ways into ClickHouse: HTTP through the vendor's driver, and the embedded engine of chdb."""

import fcntl
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self

import pyarrow as pa
import pyarrow.ipc

from penstock.warehouse.interface import WarehouseError
from penstock.warehouse.url import WarehouseUrl, driver, unreachable

log = logging.getLogger("penstock.warehouse")

SETTINGS = {
    "session_timezone": "UTC",
    "join_use_nulls": "1",
    "cast_keep_nullable": "1",
    "data_type_default_nullable": "1",
    "aggregate_functions_null_for_empty": "1",
    "prefer_column_name_to_alias": "1",
    "union_default_mode": "DISTINCT",
    "cast_string_to_date_time_mode": "best_effort",
    "output_format_arrow_string_as_string": "1",
    "output_format_arrow_low_cardinality_as_dictionary": "0",
    "output_format_arrow_date_as_uint16": "0",
    "max_block_size": "65536",
}
"""What makes a session read standard SQL, and send types as they are described. A server that is older than one of them
goes without it. https://clickhouse.com/docs/operations/settings/settings"""
_CONNECT_SECONDS = 10
_SLACK_SECONDS = 60
"""The driver waits longer than the timeout of a query, so that the query is killed before the connection is left."""
_DAY = 86_400
_AGAIN_SECONDS = 0.5
_LOCK = "status"
"""The file of its folder that the engine locks. What the driver raises does not tell the lock from other faults."""


_END = b"\xff\xff\xff\xff\0\0\0\0"
"""https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format. A reader of Arrow does without it."""
_LAST_BYTES = 4096


@dataclass
class _Answer:
    """The body of an answer while it is read. `last` is the end of what was read."""

    body: Any
    last: bytes = b""
    closed: bool = False

    def read(self, size: int = -1) -> bytes:
        """Read at most that many bytes."""
        found: bytes = self.body.read(size)
        self.last = found[-_LAST_BYTES:] if len(found) >= _LAST_BYTES else (self.last + found)[-_LAST_BYTES:]
        return found

    def close(self) -> None:
        """Leave the connection."""
        self.body.close()

    def fault(self) -> str:
        """What the server has written behind its rows, where the query failed after the first of them."""
        code = self.last.rfind(b"Code: ")
        return self.last[code:].decode(errors="replace") if code >= 0 else ""


class Door(Protocol):
    """A connection, or what makes one. Its methods raise what `refusals` lists."""

    @contextmanager
    def another(self) -> Iterator["Door"]:
        """A new connection to the same place; WarehouseError where it cannot be reached."""

    def demand(self) -> None:
        """WarehouseError where the driver is not installed, or an option is none of its own."""

    def run(self, statement: str) -> None:
        """Run a statement without rows."""

    def few(self, statement: str) -> list[dict[str, Any]]:
        """The few rows of what cannot be streamed, such as DESCRIBE."""

    def rows(self, statement: str) -> Iterator[pa.RecordBatch]:
        """Run a query, and stream its rows."""

    def refusals(self) -> tuple[type[Exception], ...]:
        """What the driver raises."""


@dataclass(frozen=True)
class HttpDoor:
    """A server. `client` is None before it is connected; `timeout` is in seconds, 0 is none."""

    place: WarehouseUrl
    timeout: float = 0.0
    client: Any = None

    @contextmanager
    def another(self) -> Iterator[Self]:
        """See `Door.another`."""
        module = driver("clickhouse_connect", "clickhouse")
        options = self.options()
        try:
            client = module.get_client(**options)
        except self.refusals() as error:
            raise unreachable(self.place, error) from None
        try:
            known = client.server_settings
            for name, value in SETTINGS.items():
                if name in known:
                    client.set_client_setting(name, value)
            yield type(self)(self.place, self.timeout, client)
        finally:
            client.close()

    def demand(self) -> None:
        """See `Door.demand`."""
        driver("clickhouse_connect", "clickhouse")
        self.options()

    def options(self) -> dict[str, Any]:
        """What the driver connects by; WarehouseError for a name in the query of the URL that it does not take."""
        url = self.place.parsed
        silent = int(self.timeout) + _SLACK_SECONDS if self.timeout else _DAY
        found: dict[str, Any] = {"connect_timeout": _CONNECT_SECONDS, "send_receive_timeout": silent}
        for name, value in url.query.items():
            if name not in OPTIONS:
                raise WarehouseError(
                    f"{name!r} in the query of PENSTOCK_WAREHOUSE_URL",
                    expected=f"one of {', '.join(sorted(OPTIONS))}",
                    found="none of that name",
                    todo="See https://clickhouse.com/docs/integrations/language-clients/python/driver-api.",
                )
            found[name] = value
        secure = url.drivername == "clickhouses" or str(found.pop("secure", "")).lower() in ("true", "1")
        return {
            **found,
            "host": url.host,
            "port": url.port or 0,
            "username": url.username,
            "password": url.password or "",
            "database": url.database or None,
            "secure": secure,
            "interface": "https" if secure else "http",
            "query_limit": 0,
            "autogenerate_session_id": False,
        }

    def run(self, statement: str) -> None:
        """See `Door.run`."""
        self.client.command(statement)

    def few(self, statement: str) -> list[dict[str, Any]]:
        """See `Door.few`."""
        return list(self.client.query(statement).named_results())

    def rows(self, statement: str) -> Iterator[pa.RecordBatch]:
        """See `Door.rows`."""
        answer = _Answer(self.client.raw_stream(statement, fmt="ArrowStream"))
        try:
            with pa.ipc.open_stream(answer) as batches:
                yield from batches
        except pa.ArrowException as error:
            raise OSError(answer.fault() or str(error)) from None
        if not answer.last.endswith(_END):
            raise OSError("the answer broke off: its end is missing")

    def refusals(self) -> tuple[type[Exception], ...]:
        """See `Door.refusals`."""
        own = driver("clickhouse_connect.driver.exceptions", "clickhouse").ClickHouseError
        return (own, driver("urllib3.exceptions", "clickhouse").HTTPError, pa.ArrowException, OSError)


OPTIONS = frozenset(
    {"secure", "verify", "ca_cert", "client_cert", "client_cert_key", "server_host_name", "compress", "http_proxy"}
    | {"https_proxy", "connect_timeout", "send_receive_timeout", "access_token"}
)
"""Options of the driver that may stand in the query of a URL."""


@dataclass(frozen=True)
class EmbeddedDoor:
    """chdb's engine over a folder, which one process has open at a time. `session` is None before it is opened.

    `streams` are those that were begun: the engine does not survive one that outlives its session.
    """

    folder: str
    patience: float
    session: Any = None
    streams: list[Any] = field(default_factory=list, compare=False)

    @contextmanager
    def another(self) -> Iterator[Self]:
        """See `Door.another`; waits up to `patience` seconds while another process has the folder open."""
        module = driver("chdb.session", "chdb")
        if not Path(self.folder).is_dir():
            raise WarehouseError(
                f"warehouse {self.folder}",
                expected="a folder that chdb's engine has written",
                found="a file" if Path(self.folder).exists() else "none",
                todo="Correct PENSTOCK_WAREHOUSE_URL, or make the folder and load the tables into it.",
            )
        deadline, waited = time.monotonic() + self.patience, False
        while True:
            fault = f"{_LOCK}: locked by another process"
            try:
                if not self._is_locked():
                    session = module.Session(self.folder)
                    break
            except RuntimeError as error:
                fault = str(error).partition("\n")[0]
            if time.monotonic() > deadline or not Path(self.folder, _LOCK).exists():
                raise WarehouseError(
                    f"warehouse {self.folder}",
                    expected=f"to be free within {self.patience:.0f} s",
                    found=fault,
                    todo="Close the other program that has the folder open, then try again.",
                )
            if not waited:
                log.warning("Waiting for another process to let go of %s", self.folder)
            waited = True
            time.sleep(_AGAIN_SECONDS)
        door = type(self)(self.folder, self.patience, session)
        try:
            session.query("SET " + ", ".join(f"{name} = '{value}'" for name, value in SETTINGS.items()))
            yield door
        finally:
            for stream in door.streams:
                stream.cancel()
            session.close()

    def demand(self) -> None:
        """See `Door.demand`."""
        driver("chdb.session", "chdb")

    def _is_locked(self) -> bool:
        """Whether another process has the folder open. The engine itself would say so on stderr, line by line."""
        try:
            with Path(self.folder, _LOCK).open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return f"PID: {os.getpid()}" not in Path(self.folder, _LOCK).read_text().splitlines()
        return False

    def run(self, statement: str) -> None:
        """See `Door.run`."""
        self.session.query(statement)

    def few(self, statement: str) -> list[dict[str, Any]]:
        """See `Door.few`."""
        sent = self.session.query(statement, "Arrow").bytes()
        found: list[dict[str, Any]] = pa.ipc.open_file(pa.BufferReader(sent)).read_all().to_pylist() if sent else []
        return found

    def rows(self, statement: str) -> Iterator[pa.RecordBatch]:
        """See `Door.rows`."""
        stream = self.session.send_query(statement, "Arrow")
        self.streams.append(stream)
        while (chunk := stream.fetch()) is not None:
            found = pa.ipc.open_file(pa.BufferReader(chunk.bytes()))
            yield from (found.get_batch(place) for place in range(found.num_record_batches))

    def refusals(self) -> tuple[type[Exception], ...]:
        """See `Door.refusals`."""
        return (RuntimeError,)
