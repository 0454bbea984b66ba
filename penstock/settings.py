"""The settings of a process, and the one list of the environment variables that they are loaded from."""

import difflib
import logging
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec

from penstock.errors import PenstockError
from penstock.postgres_url import libpq_url, use_system_certificates
from penstock.project import Project, find, find_or_none, no_project
from penstock.store_url import is_folder

HTTP_PORT, DAGSTER_PORT = 8000, 3000
EVERYWHERE = "0.0.0.0"  # noqa: S104
"""What a node of a cluster listens on; a replica there demands keys."""
HTTPS_ADDRESS = f"{EVERYWHERE}:8443"
WAREHOUSE_TIMEOUT = 6 * 3600
PREFIX = "PENSTOCK_"
BookName = Literal["test", "prod"]

log = logging.getLogger("penstock.settings")


class SettingError(PenstockError):
    """An environment variable holds what Penstock cannot use."""


class Settings(msgspec.Struct, frozen=True):
    """Where things are. An empty URL means the embedded default below `home`; `project` is None outside of one."""

    home: Path
    http_host: str = "127.0.0.1"
    http_port: int = HTTP_PORT
    dagster_port: int = DAGSTER_PORT
    now_override: datetime | None = None
    warehouse_url: str = ""
    warehouse_timeout: float = WAREHOUSE_TIMEOUT
    test_url: str = ""
    prod_url: str = ""
    dagster_url: str = ""
    snapshots_url: str = ""
    artifacts_url: str = ""
    api_keys_file: str = ""
    tls_file: str = ""
    https_address: str = HTTPS_ADDRESS
    ray_address: str = ""
    book: Literal["prod", "dev"] = "prod"
    project: Project | None = None

    def demand_project(self) -> Project:
        """The project, this process's own where none was given; ProjectError where there is none."""
        return self.project or find()

    def now(self) -> datetime:
        """The instant that Penstock lives in, UTC: PENSTOCK_NOW where it is set, else the clock."""
        return self.now_override or datetime.now(UTC)

    def url_of(self, book: BookName) -> str:
        """The URL of a book; empty for the embedded default."""
        return self.test_url if book == "test" else self.prod_url

    def demand_url(self, book: BookName) -> str:
        """The URL of a book; a replica never starts a server, so SettingError where none is set."""
        url = self.url_of(book)
        if not url:
            name, todo = f"PENSTOCK_{book.upper()}_URL", "or run `penstock up`."
            raise SettingError(name, expected="a Postgres URL", found="nothing", todo=f"Set {name}, {todo}")
        return url

    def variables(self) -> dict[str, str]:
        """The variables from which another process loads these settings."""
        values = {one.name: getattr(self, one.field) for one in VARIABLES if one.field}
        if self.project:
            values[PROJECT] = self.project.root
        return {
            name: value.isoformat() if isinstance(value, datetime) else str(value)
            for name, value in values.items()
            if value not in ("", None)
        }

    @property
    def service_url(self) -> str:
        """Where the prediction service answers."""
        return f"http://{self.http_host}:{self.http_port}"

    @property
    def outer_host(self) -> str:
        """The address that decides whether callers need keys: with TLS, which is for others, never loopback."""
        return self.https_address.rpartition(":")[0] if self.tls_file else self.http_host

    @property
    def state(self) -> Path:
        """The folder of pids, ports and logs of what `penstock up` started."""
        return self.home / "state"

    @property
    def warehouse_file(self) -> Path:
        """The embedded DuckDB warehouse."""
        return self.home / "warehouse.duckdb"

    @property
    def snapshots(self) -> str:
        """The fsspec URL or folder of the snapshot store."""
        return self.snapshots_url or str(self.home / "snapshots")

    @property
    def artifacts(self) -> str:
        """The fsspec URL or folder of the artifact store."""
        return self.artifacts_url or str(self.home / "artifacts")

    @property
    def stores(self) -> dict[str, str]:
        """Name of each store -> its fsspec URL or folder."""
        return {"snapshots": self.snapshots, "artifacts": self.artifacts}

    @property
    def artifact_cache(self) -> Path:
        """Where this node keeps the artifacts that it has fetched and checked."""
        return self.home / "cache" / "artifacts"


class Ports(msgspec.Struct, frozen=True):
    """The ports that `penstock up` chose for a home, where the environment does not say them."""

    http: int = HTTP_PORT
    dagster: int = DAGSTER_PORT


def _text(_: str, text: str) -> str:
    return text


def _path(_: str, text: str) -> Path:
    return Path(text).resolve()


def _place(_: str, text: str) -> str:
    """A file or folder is the same one for every process, whatever it works in; a URL stays."""
    return str(Path(text).absolute()) if is_folder(text) else text


def _port(name: str, text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise SettingError(name, expected="a port from 1 to 65535", found=repr(text), todo=f"Set {name}.")
    return int(text)


def _address(name: str, text: str) -> str:
    host, separator, port = text.rpartition(":")
    if not separator or not host.strip("[]"):
        raise SettingError(
            name, expected="an address and a port such as 0.0.0.0:8443", found=repr(text), todo=f"Set {name}."
        )
    _port(name, port)
    return text


def _seconds(name: str, text: str) -> float:
    if not text.isdecimal():
        raise SettingError(name, expected="whole seconds; 0 is no limit", found=repr(text), todo=f"Set {name}.")
    return float(text)


def _book(name: str, text: str) -> str:
    if text not in ("prod", "dev"):
        todo = f"Set {name}, or leave it out; `args` of serve_config.yaml name the TEST book."
        raise SettingError(name, expected="prod or dev", found=repr(text), todo=todo)
    return text


def _instant(name: str, text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise SettingError(
            name, expected="an ISO 8601 time such as 2026-11-22T12:00:00Z", found=repr(text), todo=f"Set {name}."
        ) from None
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


class Variable(msgspec.Struct, frozen=True):
    """One environment variable.

    - `default` and `meaning` are in words, as README's table has them.
    - `field` of Settings is loaded from it by `parse`, which takes its name and text; empty where a command reads it.
    """

    name: str
    default: str
    meaning: str
    field: str = ""
    parse: Callable[[str, str], Any] = _text


PROJECT, HOME = "PENSTOCK_PROJECT", "PENSTOCK_HOME"
HTTP_PORT_VARIABLE = "PENSTOCK_HTTP_PORT"
API_KEY, DEBUG = "PENSTOCK_API_KEY", "PENSTOCK_DEBUG"
CODE_VERSION = "PENSTOCK_CODE_VERSION"
CODE_HOST, CODE_PORT, EXECUTOR = "PENSTOCK_CODE_HOST", "PENSTOCK_CODE_PORT", "PENSTOCK_EXECUTOR"
_WAREHOUSE = "`duckdb:///path`, `postgresql://…`, `clickhouse://…` or one of docs/warehouses.md"
_TIMEOUT = "PENSTOCK_WAREHOUSE_TIMEOUT"
_QUERY = "seconds from the start of a warehouse query to its last row; 0 is no limit"
_BOOK, _FILES = "book, `postgresql://…`", "a folder or any fsspec URL"
_DEV = "`dev`: the service looks up in the warehouse itself, and keeps no journal"
_IN_PROCESS = "none: candidates are trained in process"
_TRAINS = "`host:port` of a Ray cluster of this machine, or `http://HEAD:8265` of any, that trains them"
VARIABLES = (
    Variable(PROJECT, "found from the working directory upwards", "the folder of the project"),
    Variable(HOME, "`.penstock/` in the project", "state, logs, what is not set below", "home", _path),
    Variable(HTTP_PORT_VARIABLE, str(HTTP_PORT), "the service", "http_port", _port),
    Variable("PENSTOCK_DAGSTER_PORT", str(DAGSTER_PORT), "the Dagster UI", "dagster_port", _port),
    Variable("PENSTOCK_HTTP_HOST", "127.0.0.1", "anything else needs API keys", "http_host"),
    Variable(
        "PENSTOCK_API_KEYS_FILE", "none", "file of API keys: SHA-256 digests with scopes", "api_keys_file", _place
    ),
    Variable("PENSTOCK_TLS_FILE", "none", "PEM of certificate, chain and key: HTTPS too", "tls_file", _place),
    Variable("PENSTOCK_HTTPS_ADDRESS", HTTPS_ADDRESS, "where it listens with TLS", "https_address", _address),
    Variable(API_KEY, "none", "the API key with which commands ask the service"),
    Variable("PENSTOCK_NOW", "the clock", "the instant to live in, for tests and trials", "now_override", _instant),
    Variable("PENSTOCK_WAREHOUSE_URL", "the embedded DuckDB file", _WAREHOUSE, "warehouse_url"),
    Variable(_TIMEOUT, str(WAREHOUSE_TIMEOUT), _QUERY, "warehouse_timeout", _seconds),
    Variable("PENSTOCK_TEST_URL", "embedded Postgres", f"the TEST {_BOOK}", "test_url", libpq_url),
    Variable("PENSTOCK_PROD_URL", "embedded Postgres", f"the PROD {_BOOK}", "prod_url", libpq_url),
    Variable("PENSTOCK_BOOK", "prod", _DEV, "book", _book),
    Variable("PENSTOCK_DAGSTER_URL", "embedded Postgres", "Dagster's storage", "dagster_url", libpq_url),
    Variable("PENSTOCK_SNAPSHOTS_URL", "`$PENSTOCK_HOME/snapshots`", _FILES, "snapshots_url", _place),
    Variable("PENSTOCK_ARTIFACTS_URL", "`$PENSTOCK_HOME/artifacts`", _FILES, "artifacts_url", _place),
    Variable("PENSTOCK_RAY_ADDRESS", _IN_PROCESS, _TRAINS, "ray_address"),
    Variable(DEBUG, "none", "any text: a command that fails unexpectedly shows its traceback"),
    Variable(CODE_VERSION, "git describes the project", "which code this is, for the ledger: set in images"),
    Variable(CODE_HOST, "127.0.0.1 by `penstock up`", "where `workspace.yaml` finds Dagster's code server"),
    Variable(CODE_PORT, "chosen by `penstock up`", "the port of Dagster's code server"),
    Variable(EXECUTOR, "in_process", "how a run does its steps: `in_process`, `multiprocess` or `k8s`"),
)
"""Every variable that Penstock reads, in the order of README's table."""


def load(project: Project | None = None) -> Settings:
    """The settings of this process's environment and of a project, by default this process's own.

    SettingError names the variable that is wrong; ProjectError where neither PENSTOCK_HOME nor a project says where
    things are.
    """
    project = project or find_or_none()
    texts = {one: text for one in VARIABLES if one.field and (text := os.environ.get(one.name))}
    values: dict[str, Any] = {one.field: one.parse(one.name, text) for one, text in texts.items()}
    if "home" not in values:
        if project is None:
            raise no_project()
        values["home"] = project.state.resolve()
    ports = remembered_ports(values["home"])
    use_system_certificates(*(text for one, text in texts.items() if one.name.endswith("_URL")))
    return Settings(**{"http_port": ports.http, "dagster_port": ports.dagster, "project": project} | values)


def service_url() -> str:
    """Where the prediction service answers, also where there is no project."""
    if find_or_none() or is_set(HOME):
        return load().service_url
    host = os.environ.get("PENSTOCK_HTTP_HOST") or "127.0.0.1"
    return f"http://{host}:{_port(HTTP_PORT_VARIABLE, os.environ.get(HTTP_PORT_VARIABLE) or str(HTTP_PORT))}"


def api_key() -> str:
    """The API key with which commands ask the service; empty where none is set."""
    return os.environ.get(API_KEY, "")


def is_set(name: str) -> bool:
    """Whether a variable of the list has a text."""
    return bool(os.environ.get(name))


def warn_of_unknown_variables() -> None:
    """Log a warning for each variable that begins like ours and is none, with the nearest name. Once per process."""
    known = [one.name.removeprefix(PREFIX) for one in VARIABLES]
    for name in sorted(os.environ):
        own = name.removeprefix(PREFIX)
        if own != name and own not in known:
            near = [f" Did you mean {PREFIX}{one}?" for one in difflib.get_close_matches(own, known, 1)]
            log.warning("%s: nothing reads this variable.%s", name, "".join(near))


def remembered_ports(home: Path) -> Ports:
    """The ports that the last `penstock up` of this home chose; the defaults where it chose none."""
    try:
        return msgspec.json.decode((home / "state" / "ports.json").read_bytes(), type=Ports)
    except (OSError, msgspec.DecodeError):
        return Ports()


def remember_ports(home: Path, ports: Ports) -> None:
    """Keep the chosen ports for every later command of this home."""
    (home / "state").mkdir(parents=True, exist_ok=True)
    (home / "state" / "ports.json").write_bytes(msgspec.json.encode(ports))
