"""The checks of `penstock doctor`."""

import os
import shutil
import sys
from importlib import metadata

import msgspec
import psycopg

from penstock.cli.parts import parts
from penstock.cli.ports import check_ports
from penstock.errors import PenstockError
from penstock.postgres import data as postgres_data
from penstock.postgres import urls as postgres
from penstock.postgres.book import Book
from penstock.project import Project
from penstock.settings import Settings

LEAST_DISK = 3e9  # bytes: the example, its snapshots and the logs of a few weeks


class Finding(msgspec.Struct, frozen=True):
    """What one check found, and what to do when it is not well."""

    name: str
    ok: bool
    found: str
    todo: str = ""


def diagnose(settings: Settings) -> list[Finding]:
    """Every check, in the order in which one depends on another."""
    project = settings.demand_project()
    machine = [_python(), _packages(project), _home(settings), _disk(settings), _ports(settings), *_abandoned()]
    running = [
        Finding(part.name, part.well, part.health, f"Run `penstock up`; logs are in {settings.home / 'logs'}.")
        for part in parts(settings)
    ]
    return [*_project(project), *machine, *running, *(_books(settings) if running[0].ok else [])]


def _project(project: Project) -> list[Finding]:
    """Which project this is, and whether every file of it imports."""
    from penstock.contract.registry import read_contracts
    from penstock.declare.discovery import declared

    contracts, declarations = read_contracts(project), declared(project)
    found = f"{project.name} at {project.root}: {len(contracts.by_model)} contracts, {len(declarations.models)} models"
    broken = dict.fromkeys(map(str, contracts.broken + declarations.broken))
    lacking = [Finding("project", False, f"{error.thing} is missing", error.todo) for error in _lacking(project)]
    faults = [Finding("project", False, sentence, "Correct that file.") for sentence in broken]
    return [Finding("project", True, found), *lacking, *faults]


def _lacking(project: Project) -> list[PenstockError]:
    """An error for each file that every project has and this one lacks."""
    lacking = []
    for file in ("serve_config", "workspace", "dagster_instance"):
        try:
            getattr(project, file)
        except PenstockError as error:
            lacking.append(error)
    return lacking


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("python", sys.version_info >= (3, 11), f"{version} at {sys.executable}", "Use Python 3.11 or newer.")


def _packages(project: Project) -> Finding:
    """Whether the environment holds exactly the versions that the project pins."""
    if not project.requirements.exists():
        return Finding("packages", False, f"{project.requirements} does not exist", "Pin the packages there.")
    wrong = []
    for line in project.requirements.read_text().splitlines():
        pin, _, marker = line.removesuffix("\\").partition(";")
        name, equal, version = pin.strip().partition("==")
        if not equal or line.startswith((" ", "#")) or marker.strip():
            continue
        try:
            found = metadata.version(name.split("[")[0])
        except metadata.PackageNotFoundError:
            found = "none"
        if found != version:
            wrong.append(f"{name} {found} instead of {version}")
    text = f"{len(wrong)} differ from requirements/run.txt: {', '.join(wrong[:5])}" if wrong else "as pinned"
    return Finding("packages", not wrong, text, "Run `make setup`.")


def _home(settings: Settings) -> Finding:
    folder = next(path for path in (settings.home, *settings.home.parents) if path.exists())
    todo = "Set PENSTOCK_HOME to a folder that you may write."
    return Finding("home", os.access(folder, os.W_OK | os.X_OK), str(settings.home), todo)


def _disk(settings: Settings) -> Finding:
    folder = next(path for path in (settings.home, *settings.home.parents) if path.exists())
    free = shutil.disk_usage(folder).free
    return Finding("disk", free > LEAST_DISK, f"{free / 1e9:.1f} GB free", f"Free {LEAST_DISK / 1e9:.0f} GB.")


def _ports(settings: Settings) -> Finding:
    try:
        return Finding("ports", True, check_ports(settings))
    except PenstockError as error:
        return Finding("ports", False, f"{error.thing} is {error.found}", error.todo)


def _abandoned() -> list[Finding]:
    """Data of embedded servers that no home knows any more; only root has such."""
    return [
        Finding("abandoned data", False, str(folder), f"If no home was moved, remove it: rm -r {folder}")
        for folder in postgres_data.abandoned()
    ]


def _books(settings: Settings) -> list[Finding]:
    """Whether PROD has a release of every model, and its tables are as fresh as declared."""
    from penstock.declare.discovery import declared

    known = declared(settings.project)
    prod = postgres.open_books(settings)[1]
    try:
        with prod.connect() as connection:
            released = dict(connection.execute("SELECT model, version FROM app.current_release").fetchall())
            as_of = dict(connection.execute("SELECT table_name, as_of FROM replicated.current").fetchall())
    except psycopg.Error as error:
        return [Finding("books", False, str(error).splitlines()[0], "Run `penstock up`.")]
    findings = [_artifact(settings, prod, model, released.get(model)) for model in known.models]
    for name, table in known.tables.items():
        taken = as_of.get(name)
        found = f"{name}: as of {taken:%Y-%m-%d %H:%M} UTC" if taken else f"{name} is not published"
        fresh = taken is not None and settings.now() - taken <= table.fresh_within
        findings.append(Finding("freshness", fresh, found, f"Run `penstock publish {name}`."))
    return findings


def _artifact(settings: Settings, prod: Book, model: str, version: int | None) -> Finding:
    from penstock.releases.artifacts import ArtifactStore

    if version is None:
        return Finding("release", False, f"{model} has no release", f"Run `penstock train {model}`.")
    with prod.connect() as connection:
        row = connection.execute("SELECT artifact FROM app.current_release WHERE model = %s", (model,)).fetchone()
    there = row is not None and ArtifactStore(settings.artifacts).exists(row[0])
    found = f"{model} version {version}" + ("" if there else ", whose artifact is not in the store")
    return Finding("release", there, found, f"Restore {settings.artifacts}, or `penstock rollback {model}`.")
