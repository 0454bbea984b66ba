"""The one place that reads the environment."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from penstock.errors import PenstockError
from penstock.project import Project, find, find_or_none, no_project

HTTP_PORT, DAGSTER_PORT = 8000, 3000
BookName = Literal["test", "prod"]


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
    test_url: str = ""
    prod_url: str = ""
    dagster_url: str = ""
    snapshots_url: str = ""
    artifacts_url: str = ""
    api_keys_file: str = ""
    ray_address: str = ""
    project: Project | None = None

    def demand_project(self) -> Project:
        """The project, this process's own where none was given; ProjectError where there is none."""
        return self.project or find()

    def now(self) -> datetime:
        """The instant that Penstock lives in, UTC: PENSTOCK_NOW where it is set, else the clock."""
        return self.now_override or datetime.now(UTC)

    @property
    def service_url(self) -> str:
        """Where the prediction service answers."""
        return f"http://{self.http_host}:{self.http_port}"

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


class Ports(msgspec.Struct, frozen=True):
    """The ports that `penstock up` chose for a home, where the environment does not say them."""

    http: int = HTTP_PORT
    dagster: int = DAGSTER_PORT


def load(project: Project | None = None) -> Settings:
    """The settings of this process's environment and of a project, by default this process's own.

    SettingError names the variable that is wrong; ProjectError where neither PENSTOCK_HOME nor a project says where
    things are.
    """
    project = project or find_or_none()
    home = _home(project)
    if home is None:
        raise no_project()
    ports = remembered_ports(home)
    return Settings(
        home=home,
        http_host=os.environ.get("PENSTOCK_HTTP_HOST") or "127.0.0.1",
        http_port=_port("PENSTOCK_HTTP_PORT", ports.http),
        dagster_port=_port("PENSTOCK_DAGSTER_PORT", ports.dagster),
        now_override=_instant("PENSTOCK_NOW"),
        warehouse_url=os.environ.get("PENSTOCK_WAREHOUSE_URL", ""),
        test_url=os.environ.get("PENSTOCK_TEST_URL", ""),
        prod_url=os.environ.get("PENSTOCK_PROD_URL", ""),
        dagster_url=os.environ.get("PENSTOCK_DAGSTER_URL", ""),
        snapshots_url=os.environ.get("PENSTOCK_SNAPSHOTS_URL", ""),
        artifacts_url=os.environ.get("PENSTOCK_ARTIFACTS_URL", ""),
        api_keys_file=os.environ.get("PENSTOCK_API_KEYS_FILE", ""),
        ray_address=os.environ.get("PENSTOCK_RAY_ADDRESS", ""),
        project=project,
    )


def service_url() -> str:
    """Where the prediction service answers, also where there is no project."""
    home = _home(find_or_none())
    ports = Ports() if home is None else remembered_ports(home)
    host = os.environ.get("PENSTOCK_HTTP_HOST") or "127.0.0.1"
    return f"http://{host}:{_port('PENSTOCK_HTTP_PORT', ports.http)}"


def _home(project: Project | None) -> Path | None:
    named = os.environ.get("PENSTOCK_HOME")
    if named:
        return Path(named).resolve()
    return project.state.resolve() if project else None


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


def _port(name: str, default: int) -> int:
    text = os.environ.get(name) or str(default)
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise SettingError(name, expected="a port from 1 to 65535", found=repr(text), todo=f"Set {name}.")
    return int(text)


def _instant(name: str) -> datetime | None:
    text = os.environ.get(name)
    if not text:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise SettingError(
            name, expected="an ISO 8601 time such as 2026-11-22T12:00:00Z", found=repr(text), todo=f"Set {name}."
        ) from None
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def book_url(settings: Settings, book: BookName) -> str:
    """The book's URL; a replica never starts a server, so SettingError where none is set."""
    url = settings.test_url if book == "test" else settings.prod_url
    if not url:
        name = f"PENSTOCK_{book.upper()}_URL"
        raise SettingError(name, expected="a Postgres URL", found="nothing", todo=f"Set {name}, or run `penstock up`.")
    return url
