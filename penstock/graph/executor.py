"""How a run does its steps, by PENSTOCK_EXECUTOR."""

import os

import dagster as dg

from penstock.extras import missing_extra
from penstock.settings import EXECUTOR, SettingError

IN_PROCESS, MULTIPROCESS, KUBERNETES = "in_process", "multiprocess", "k8s"


def executor() -> dg.ExecutorDefinition:
    """The executor of all jobs: one process a run, one a step, or one Job of Kubernetes a step."""
    named = os.environ.get(EXECUTOR) or IN_PROCESS
    if named == IN_PROCESS:
        return dg.in_process_executor
    if named == MULTIPROCESS:
        return dg.multiprocess_executor
    if named != KUBERNETES:
        expected = f"{IN_PROCESS}, {MULTIPROCESS} or {KUBERNETES}"
        raise SettingError(EXECUTOR, expected=expected, found=repr(named), todo=f"Set {EXECUTOR}.")
    try:
        from dagster_k8s import k8s_job_executor
    except ModuleNotFoundError as error:
        todo = missing_extra(error) or "Install penstock[kubernetes]."
        raise SettingError(EXECUTOR, expected="dagster-k8s", found="it is not installed", todo=todo) from None
    found: dg.ExecutorDefinition = k8s_job_executor
    return found
