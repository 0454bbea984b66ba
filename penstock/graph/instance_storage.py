"""What dagster.yaml names: Dagster's storage in Postgres by any form of its URL, its files below PENSTOCK_HOME."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from dagster_postgres import DagsterPostgresStorage
from dagster_postgres.utils import pg_url_from_config

from penstock.graph.compat import EventLog, LocalArtifactStorage, LocalComputeLogManager
from penstock.postgres.databases import with_dagsters_driver
from penstock.postgres_url import libpq_url, use_system_certificates
from penstock.settings import load


class PostgresStorage(DagsterPostgresStorage):
    """Dagster's own storage, with the one driver that it knows: SQLAlchemy takes another for a plain postgresql://."""

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Mapping[str, Any]) -> "PostgresStorage":
        """The storage of an instance; called by Dagster with what dagster.yaml says."""
        url = libpq_url("Dagster's storage", pg_url_from_config(config_value))
        use_system_certificates(url)
        url = with_dagsters_driver(url)
        return cls(url, config_value.get("should_autocreate_tables", True), inst_data)

    @cached_property
    def event_log_storage(self) -> EventLog:
        """The events, and the pools of the steps."""
        return EventLog(self.postgres_url, self.should_autocreate_tables)


class Files(LocalArtifactStorage):
    """What runs keep in files: below PENSTOCK_HOME, so that DAGSTER_HOME may be read-only."""

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """Nothing is configured."""
        return {}

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Mapping[str, Any]) -> "Files":  # noqa: ARG003
        """The files of an instance; called by Dagster."""
        return cls(_folder(), inst_data)


class StepLogs(LocalComputeLogManager):
    """What steps print: below PENSTOCK_HOME as well."""

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """Nothing is configured."""
        return {}

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Mapping[str, Any]) -> "StepLogs":  # noqa: ARG003
        """The logs of an instance; called by Dagster."""
        return cls(f"{_folder()}/storage", inst_data=inst_data)


def _folder() -> str:
    return str(load().home / "dagster")
