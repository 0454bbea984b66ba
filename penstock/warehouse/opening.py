"""Opening the warehouse that the settings name: a DuckDB file, or any SQLAlchemy URL."""

from penstock.settings import Settings
from penstock.warehouse.interface import Warehouse


def open_warehouse(settings: Settings) -> Warehouse:
    """The warehouse that the settings name."""
    from penstock.warehouse.duckdb_file import DuckDBWarehouse
    from penstock.warehouse.postgres import PostgresWarehouse
    from penstock.warehouse.sqlalchemy_url import SqlWarehouse

    url = settings.warehouse_url
    if not url:
        return DuckDBWarehouse(str(settings.warehouse_file), now=settings.now_override)
    if url.startswith("duckdb:"):
        return DuckDBWarehouse(url.removeprefix("duckdb:").removeprefix("///"), now=settings.now_override)
    if url.split(":", 1)[0].split("+", 1)[0] in {"postgres", "postgresql"}:
        return PostgresWarehouse(url)
    return SqlWarehouse(url)
