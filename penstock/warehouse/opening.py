"""Opening the warehouse that the settings name. The kinds that there are stand here."""

from collections.abc import Callable
from threading import Event

from penstock.settings import Settings
from penstock.warehouse.described import DescribedWarehouse
from penstock.warehouse.interface import Warehouse, WarehouseError
from penstock.warehouse.url import VARIABLE, WarehouseUrl, driver, kind_of


def open_warehouse(settings: Settings, ended: Event | None = None) -> Warehouse:
    """The warehouse that the settings name. Once another thread sets `ended`, its queries end.

    WarehouseError, before anything is connected, for a URL of a kind that there is not, and for one whose driver is not
    installed.
    """
    kind = kind_of(settings.warehouse_url) if settings.warehouse_url else "duckdb"
    if kind not in KINDS:
        others = ", ".join(f"{name}://…" for name in KINDS if name not in ("duckdb", "postgres", "postgresql"))
        raise WarehouseError(
            VARIABLE,
            expected=f"duckdb:///path/of/file.duckdb, postgresql://user:password@host:5432/database or one of {others}",
            found=f"a URL of the kind {kind!r}" if "://" in settings.warehouse_url else "no URL",
            todo="Load the tables into one of these kinds, for instance by a DuckDB extension that reads yours.",
        )
    return KINDS[kind](settings, ended or Event())


def _duckdb(settings: Settings, ended: Event) -> Warehouse:
    from penstock.warehouse.duckdb_file import DuckDBWarehouse

    path = settings.warehouse_url.partition(":")[2].removeprefix("///") or str(settings.warehouse_file)
    return DuckDBWarehouse(path, now=settings.now_override, timeout=settings.warehouse_timeout, ended=ended)


def _postgres(settings: Settings, ended: Event) -> Warehouse:
    from penstock.warehouse.postgres import PostgresWarehouse

    driver("adbc_driver_postgresql.dbapi", "postgres")
    WarehouseUrl.parse(settings.warehouse_url).libpq()
    return PostgresWarehouse(settings.warehouse_url, settings.warehouse_timeout, ended)


def _redshift(settings: Settings, ended: Event) -> Warehouse:
    from penstock.warehouse.redshift import RedshiftWarehouse

    driver("adbc_driver_postgresql.dbapi", "postgres")
    WarehouseUrl.parse(settings.warehouse_url).libpq()
    return RedshiftWarehouse(settings.warehouse_url, settings.warehouse_timeout, ended)


def _clickhouse(settings: Settings, ended: Event) -> Warehouse:
    from penstock.warehouse.clickhouse import ClickHouseWarehouse

    opened = ClickHouseWarehouse(settings.warehouse_url, settings.warehouse_timeout, ended)
    opened.demand_door()
    return opened


def _snowflake(settings: Settings, ended: Event) -> Warehouse:
    from penstock.warehouse.snowflake import SnowflakeWarehouse

    return _server(SnowflakeWarehouse, "snowflake.connector", "snowflake", settings, ended)


def _bigquery(settings: Settings, ended: Event) -> Warehouse:
    from penstock.warehouse.bigquery import BigQueryWarehouse

    return _server(BigQueryWarehouse, "google.cloud.bigquery", "bigquery", settings, ended)


def _databricks(settings: Settings, ended: Event) -> Warehouse:
    from penstock.warehouse.databricks import DatabricksWarehouse

    return _server(DatabricksWarehouse, "databricks.sql", "databricks", settings, ended)


def _trino(settings: Settings, ended: Event) -> Warehouse:
    from penstock.warehouse.trino import TrinoWarehouse

    return _server(TrinoWarehouse, "trino.dbapi", "trino", settings, ended)


def _server(kind: type[DescribedWarehouse], module: str, extra: str, settings: Settings, ended: Event) -> Warehouse:
    driver(module, extra)
    WarehouseUrl.parse(settings.warehouse_url)
    return kind(settings.warehouse_url, settings.warehouse_timeout, ended)


KINDS: dict[str, Callable[[Settings, Event], Warehouse]] = {
    "duckdb": _duckdb,
    "postgres": _postgres,
    "postgresql": _postgres,
    "redshift": _redshift,
    "clickhouse": _clickhouse,
    "clickhouses": _clickhouse,
    "chdb": _clickhouse,
    "snowflake": _snowflake,
    "bigquery": _bigquery,
    "databricks": _databricks,
    "trino": _trino,
}
"""How a URL begins, before `://` and any `+driver` -> what opens it."""
