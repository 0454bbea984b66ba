"""Drivers of warehouses that cannot run here: each parses what it is sent in its dialect, and runs it in DuckDB."""

from collections.abc import Callable, Mapping
from types import ModuleType, SimpleNamespace
from typing import Any

import duckdb
import pyarrow as pa
import sqlglot
from sqlglot import exp

TYPES: Mapping[str, Mapping[str, str]] = {
    "trino": {
        "BOOLEAN": "boolean",
        "INTEGER": "integer",
        "BIGINT": "bigint",
        "DOUBLE": "double",
        "VARCHAR": "varchar",
        "DATE": "date",
        "TIMESTAMP": "timestamp(6)",
        "TIMESTAMP WITH TIME ZONE": "timestamp(6) with time zone",
        "DECIMAL(12,3)": "decimal(12,3)",
    },
    "databricks": {
        "BOOLEAN": "boolean",
        "INTEGER": "int",
        "BIGINT": "bigint",
        "DOUBLE": "double",
        "VARCHAR": "string",
        "DATE": "date",
        "TIMESTAMP": "timestamp_ntz",
        "TIMESTAMP WITH TIME ZONE": "timestamp",
        "DECIMAL(12,3)": "decimal(12,3)",
    },
    "bigquery": {
        "BOOLEAN": "BOOLEAN",
        "BIGINT": "INTEGER",
        "DOUBLE": "FLOAT",
        "VARCHAR": "STRING",
        "DATE": "DATE",
        "TIMESTAMP": "DATETIME",
        "TIMESTAMP WITH TIME ZONE": "TIMESTAMP",
    },
}
"""Dialect -> DuckDB's type -> that of the dialect, as its driver describes a result."""


class Engine:
    """A DuckDB that is sent the SQL of a dialect. `heard` are the statements."""

    def __init__(self, dialect: str, connection: duckdb.DuckDBPyConnection) -> None:
        self.dialect, self.connection = dialect, connection
        self.heard: list[str] = []

    def run(self, statement: str) -> duckdb.DuckDBPyRelation | None:
        self.heard.append(statement)
        described = statement.removeprefix("DESCRIBE QUERY ")
        return self.connection.sql(transpiled(described, self.dialect))

    def described(self, relation: duckdb.DuckDBPyRelation) -> list[tuple[str, str]]:
        types = TYPES[self.dialect]
        return [(name, types[str(kind)]) for name, kind in zip(relation.columns, relation.types, strict=True)]


def transpiled(statement: str, dialect: str) -> str:
    """The statement in DuckDB's SQL. sqlglot leaves MATCH_CONDITION as it is."""
    tree = sqlglot.parse_one(statement, dialect=dialect, error_level=sqlglot.ErrorLevel.RAISE)
    for join in tree.find_all(exp.Join):
        if newest := join.args.get("match_condition"):
            join.set("match_condition", None)
            join.set("side", "LEFT")
            join.set("on", exp.and_(join.args["on"], newest))
    return tree.sql(dialect="duckdb", unsupported_level=sqlglot.ErrorLevel.RAISE)


class Cursor:
    """Of the DB-API, with the Arrow methods of Databricks."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.rows, self.description = engine, [], []
        self.cancelled = False

    def execute(self, statement: str) -> None:
        relation = self.engine.run(statement)
        if relation is None:
            self.rows, self.description = [], []
            return
        self.description = self.engine.described(relation)
        self.table = relation.to_arrow_table()
        describes = statement.startswith("DESCRIBE QUERY ")
        self.rows = self.description if describes else [tuple(row.values()) for row in self.table.to_pylist()]

    def fetchall(self) -> list[Any]:
        return self.fetchmany(len(self.rows))

    def fetchmany(self, count: int) -> list[Any]:
        found, self.rows = self.rows[:count], self.rows[count:]
        return found

    def fetchmany_arrow(self, count: int) -> pa.Table:
        found, self.table = self.table.slice(0, count), self.table.slice(count)
        return found

    def cancel(self) -> None:
        self.cancelled = True

    def __enter__(self) -> "Cursor":
        return self

    def __exit__(self, *_: object) -> None: ...


class Connection:
    """Of the DB-API."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def cursor(self) -> Cursor:
        return Cursor(self.engine)

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_: object) -> None: ...


class Job:
    """A query of BigQuery's: it runs where its result is waited for."""

    def __init__(self, engine: Engine, statement: str, *, dry_run: bool) -> None:
        self.engine, self.statement = engine, statement
        relation = engine.run(statement) if dry_run else None
        fields = engine.described(relation) if relation is not None else []
        self.total_bytes_processed = 1234567
        self.schema = [SimpleNamespace(name=name, field_type=kind, mode="NULLABLE") for name, kind in fields]

    def result(self) -> Any:
        relation = self.engine.run(self.statement)
        return SimpleNamespace(to_arrow_iterable=lambda: relation.to_arrow_table().to_batches() if relation else [])

    def cancel(self) -> None: ...


class Client:
    """Of BigQuery."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def query(self, statement: str, job_config: Any) -> "Job":
        return Job(self.engine, statement, dry_run=job_config.dry_run)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None: ...


def modules(engine: Engine) -> dict[str, ModuleType]:
    """The modules of the dialect's driver."""
    connect: Callable[..., Connection] = lambda **_: Connection(engine)  # noqa: E731
    found: dict[str, dict[str, Any]] = {
        "trino": {
            "trino.dbapi": {"connect": connect},
            "trino.exceptions": {"Error": duckdb.Error},
            "trino.auth": {"BasicAuthentication": lambda user, password: (user, password)},
        },
        "databricks": {"databricks.sql": {"connect": connect}, "databricks.sql.exc": {"Error": duckdb.Error}},
        "bigquery": {
            "google.cloud.bigquery": {"Client": lambda **_: Client(engine), "QueryJobConfig": SimpleNamespace},
            "google.api_core.exceptions": {"GoogleAPIError": duckdb.Error},
            "google.auth.exceptions": {"GoogleAuthError": duckdb.Error},
        },
    }[engine.dialect]
    made = {}
    for name, content in found.items():
        made[name] = ModuleType(name)
        vars(made[name]).update(content)
    return made
