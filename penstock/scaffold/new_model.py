"""Writing a new model into a project: all of it or nothing."""

from datetime import datetime
from pathlib import Path

from penstock.declare.discovery import declared
from penstock.project import Project
from penstock.scaffold.choices import NewModelError, choose
from penstock.scaffold.lookup_plan import Reader
from penstock.scaffold.model_files import files, paths
from penstock.scaffold.model_plan import ModelPlan
from penstock.scaffold.names import is_model_name, model_name
from penstock.scaffold.options import Options
from penstock.scaffold.outcome_plan import AskKind
from penstock.scaffold.profile import Progress
from penstock.warehouse.catalog import tables
from penstock.warehouse.interface import Warehouse


def planned(
    project: Project, warehouse: Warehouse, now: datetime, options: Options, progress: Progress, ask_kind: AskKind
) -> ModelPlan:
    """The plan of a new model, from its rows in the warehouse; NewModelError with every fault."""
    faults = _name_faults(project.root, options.model)
    if faults:
        raise NewModelError(options.model, faults)
    known = declared(project).tables
    return choose(options, Reader(warehouse, progress, options.zone), tables(warehouse), known, now, ask_kind)


def write(root: Path, plan: ModelPlan) -> list[Path]:
    """Write the files of a plan; nothing is left of them after a failure. An existing file is never overwritten."""
    faults = _name_faults(root, plan.model)
    if faults:
        raise NewModelError(plan.model, faults)
    written: list[Path] = []
    made: list[Path] = []
    try:
        for name, text in files(plan).items():
            path = root / name
            missing = [folder for folder in path.parents if not folder.exists()]
            path.parent.mkdir(parents=True, exist_ok=True)
            made += reversed(missing)
            with path.open("x", encoding="utf-8") as file:
                written.append(path)
                file.write(text)
    except BaseException:
        for path in written:
            path.unlink()
        for folder in reversed(made):
            folder.rmdir()
        raise
    return written


def _name_faults(root: Path, model: str) -> list[str]:
    if not is_model_name(model):
        todo = f"use {model_name(model)}"
        return [f"name {model!r}: expected letters, digits and _ (at most 40, a letter first); {todo}"]
    return [
        f"{name} exists, and is never overwritten; choose another name"
        for name in paths(model)
        if (root / name).exists()
    ]
