"""Dagster's storage in Postgres, by any form of its URL: what dagster.yaml names."""

from collections.abc import Mapping
from typing import Any

from dagster_postgres import DagsterPostgresStorage
from dagster_postgres.utils import pg_url_from_config

from penstock.postgres.urls import with_dagsters_driver


class PostgresStorage(DagsterPostgresStorage):
    """Dagster's own storage, with the one driver that it knows: SQLAlchemy takes another for a plain postgresql://."""

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Mapping[str, Any]) -> "PostgresStorage":
        """The storage of an instance; called by Dagster with what dagster.yaml says."""
        url = with_dagsters_driver(pg_url_from_config(config_value))
        return cls(url, config_value.get("should_autocreate_tables", True), inst_data)
