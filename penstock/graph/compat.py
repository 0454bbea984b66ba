"""The private names of Dagster that the graph uses."""

from importlib import import_module
from typing import Any

# Without these two, dagster.yaml has to name the folder of step logs and files itself.
from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager
from dagster._core.storage.root import LocalArtifactStorage
from dagster_postgres import PostgresEventLogStorage
from sqlalchemy.dialects.postgresql import insert

__all__ = ["EventLog", "LocalArtifactStorage", "LocalComputeLogManager", "error_without_frames"]

SCHEMA, SLOTS = "dagster._core.storage.event_log.schema", "_allocate_concurrency_slots"
"""Where the table of the pools' limits is, and what makes as many slots as a limit says. Without them a pool is made in
Dagster's own way."""

ERRORS, INFO = "dagster._core.errors", "dagster._utils.error"
"""The modules of the error whose frames Dagster does not show, and of what it shows instead. Without them a load error
has its frames."""


class EventLog(PostgresEventLogStorage):
    """Dagster's events in Postgres, where two runs may make a pool at once and an operator may change its limit.

    Dagster's own way inserts the pool and, where that fails, goes on in the same transaction: Postgres refuses that,
    and the run fails.
    """

    def initialize_concurrency_limit_to_default(self, concurrency_key: str) -> bool:
        """Make the pool with the default limit of dagster.yaml, or give it that limit; True where there is one."""
        limit = self._instance.global_op_concurrency_default_limit
        table, allocate = _limits(), getattr(self, SLOTS, None)
        if limit is None or table is None or allocate is None:
            return super().initialize_concurrency_limit_to_default(concurrency_key)
        made = insert(table).values(concurrency_key=concurrency_key, limit=limit, using_default_limit=True)
        with self.index_transaction() as connection:
            connection.execute(made.on_conflict_do_update(index_elements=["concurrency_key"], set_={"limit": limit}))
            allocate(connection, concurrency_key, limit)
        return True


def _limits() -> Any:
    try:
        return import_module(SCHEMA).ConcurrencyLimitsTable
    except (ImportError, AttributeError):
        return None


def error_without_frames(error: Exception) -> Exception:
    """The error as Dagster shows it, without a stack; the error itself where Dagster has no way for that."""
    try:
        process_error = import_module(ERRORS).DagsterUserCodeProcessError
        info = import_module(INFO).SerializableErrorInfo
    except (ImportError, AttributeError):
        return error
    shown = info(message=f"{error}\n", stack=[], cls_name=type(error).__name__, cause=None)
    raised: Exception = process_error(str(error), user_code_process_error_infos=[shown])
    return raised
