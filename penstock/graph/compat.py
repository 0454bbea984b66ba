"""The private names of Dagster that the graph uses."""

from importlib import import_module

# Without these two, dagster.yaml has to name the folder of step logs and files itself.
from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager
from dagster._core.storage.root import LocalArtifactStorage

__all__ = ["LocalArtifactStorage", "LocalComputeLogManager", "error_without_frames"]

ERRORS, INFO = "dagster._core.errors", "dagster._utils.error"
"""The modules of the error whose frames Dagster does not show, and of what it shows instead. Without them a load error
has its frames."""


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
