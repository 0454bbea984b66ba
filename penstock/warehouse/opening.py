"""Opening the warehouse that the settings name. The kinds that there are stand here."""

from collections.abc import Callable
from threading import Event

from penstock.settings import Settings
from penstock.warehouse.interface import Warehouse, WarehouseError
from penstock.warehouse.url import VARIABLE, WarehouseUrl, driver, kind_of

DUCKDB = "duckdb"


def open_warehouse(settings: Settings, ended: Event | None = None, *, timeout: float | None = None) -> Warehouse:
    """The warehouse that the settings name. Once another thread sets `ended`, its queries end. They take no longer than
    `timeout` seconds, by default those of the settings.

    WarehouseError, before anything is connected, for a URL of a kind that there is not, and for one whose driver is not
    installed.
    """
    url, ended = settings.warehouse_url, ended or Event()
    timeout = settings.warehouse_timeout if timeout is None else timeout
    kind = kind_of(url) if url else DUCKDB
    if kind == DUCKDB:
        from penstock.warehouse.duckdb_file import DuckDBWarehouse

        path = url.partition(":")[2].removeprefix("///") or str(settings.warehouse_file)
        if path.startswith(("md:", "//md:")) or "?" in path:  # a token may stand behind it
            raise WarehouseError(
                VARIABLE,
                expected="duckdb:///path/of/file.duckdb",
                found="a database of MotherDuck" if "md:" in path else "a query behind the path",
                todo="There is no door to MotherDuck: copy its tables into a DuckDB file or into Parquet files.",
            )
        return DuckDBWarehouse(path, now=settings.now_override, timeout=timeout, ended=ended)
    if kind not in SERVERS:
        others = ", ".join(f"{name}://…" for name in SERVERS if name not in ("postgres", "postgresql"))
        raise WarehouseError(
            VARIABLE,
            expected=f"duckdb:///path/of/file.duckdb, postgresql://user:password@host:5432/database or one of {others}",
            found=f"a URL of the kind {kind!r}" if "://" in url else "no URL",
            todo="Load the tables into one of these kinds, for instance by a DuckDB extension that reads yours.",
        )
    return SERVERS[kind](url, timeout, ended)


def demand_answer(warehouse: Warehouse) -> None:
    """WarehouseError unless the warehouse answers. A DuckDB file to which another process writes does."""
    from penstock.warehouse.duckdb_file import DuckDBWarehouse

    if isinstance(warehouse, DuckDBWarehouse):
        warehouse.demand_readable()
        return
    with warehouse.batches("SELECT 1 AS one"):
        pass


def _postgres(url: str, timeout: float, ended: Event) -> Warehouse:
    from penstock.warehouse.postgres.warehouse import PostgresWarehouse

    driver("adbc_driver_postgresql.dbapi", "postgres")
    WarehouseUrl.parse(url).libpq()
    return PostgresWarehouse(url, timeout, ended)


def _redshift(url: str, timeout: float, ended: Event) -> Warehouse:
    from penstock.warehouse.redshift import RedshiftWarehouse

    driver("adbc_driver_postgresql.dbapi", "postgres")
    WarehouseUrl.parse(url).libpq()
    return RedshiftWarehouse(url, timeout, ended)


def _clickhouse(url: str, timeout: float, ended: Event) -> Warehouse:
    from penstock.warehouse.clickhouse.warehouse import ClickHouseWarehouse

    opened = ClickHouseWarehouse(url, timeout, ended)
    opened.demand_door()
    return opened


def _snowflake(url: str, timeout: float, ended: Event) -> Warehouse:
    from penstock.warehouse.snowflake import SnowflakeWarehouse

    _demand("snowflake.connector", "snowflake", url)
    return SnowflakeWarehouse(url, timeout, ended)


def _bigquery(url: str, timeout: float, ended: Event) -> Warehouse:
    from penstock.warehouse.bigquery import BigQueryWarehouse

    _demand("google.cloud.bigquery", "bigquery", url)
    return BigQueryWarehouse(url, timeout, ended)


def _databricks(url: str, timeout: float, ended: Event) -> Warehouse:
    from penstock.warehouse.databricks import DatabricksWarehouse

    _demand("databricks.sql", "databricks", url)
    return DatabricksWarehouse(url, timeout, ended)


def _trino(url: str, timeout: float, ended: Event) -> Warehouse:
    from penstock.warehouse.trino import TrinoWarehouse

    _demand("trino.dbapi", "trino", url)
    return TrinoWarehouse(url, timeout, ended)


def _demand(module: str, extra: str, url: str) -> None:
    """WarehouseError where a driver is not installed or the URL is none."""
    driver(module, extra)
    WarehouseUrl.parse(url)


SERVERS: dict[str, Callable[[str, float, Event], Warehouse]] = {
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
