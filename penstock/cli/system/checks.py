"""The checks of `penstock doctor`."""

import os
import shutil
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib import metadata
from pathlib import Path

import psycopg

from penstock.cli.system import surroundings
from penstock.cli.system.finding import Finding, untried
from penstock.cli.system.parts import parts
from penstock.cli.system.ports import check_ports
from penstock.errors import PenstockError
from penstock.journal.reading import FEW_DAYS
from penstock.journal.upkeep import days_ahead
from penstock.postgres import data as postgres_data
from penstock.postgres import roles
from penstock.postgres.book import Book
from penstock.postgres.databases import Databases
from penstock.postgres.migrate import version
from penstock.postgres.migrations import named, newest
from penstock.postgres.place import demand_apart, demand_usable
from penstock.postgres.pointer import pointers
from penstock.project import Project
from penstock.quantity import counted
from penstock.releases.artifacts import ArtifactStore
from penstock.releases.entry import CurrentRelease
from penstock.releases.ledger import current_releases
from penstock.runtime import Runtime
from penstock.warehouse.catalog import tables
from penstock.warehouse.interface import WarehouseError
from penstock.warehouse.url import shown

LEAST_DISK = 3e9  # bytes: the example, its snapshots and the logs of a few weeks


def diagnose(runtime: Runtime) -> list[Finding]:
    """Every check, in the order in which one depends on another."""
    settings, project = runtime.settings, runtime.settings.demand_project()
    machine = [
        _python(),
        _packages(project),
        _home(settings.home),
        _disk(settings.home),
        _ports(partial(check_ports, settings)),
        *_abandoned(),
    ]
    running = [
        Finding(part.name, part.well, part.health, f"Run `penstock up`; logs are in {settings.home / 'logs'}.")
        for part in parts(settings)
    ]
    books = _books(runtime) if running[0].ok else [untried("books", "Postgres does not run or answer, see above")]
    return [
        *_project(project),
        *machine,
        _warehouse(runtime),
        *surroundings.stores(settings.stores),
        surroundings.keys(settings.api_keys_file, settings.outer_host),
        *surroundings.certificate(settings.tls_file),
        *surroundings.ray_cluster(settings.ray_address),
        *running,
        *books,
    ]


def _warehouse(runtime: Runtime) -> Finding:
    """Whether the warehouse answers, and how many tables and views it shows to the connected user."""
    began, settings = time.monotonic(), runtime.settings
    try:
        there = len(tables(runtime.warehouse))
        place = shown(settings.warehouse_url) if settings.warehouse_url else settings.warehouse_file
    except WarehouseError as error:
        return Finding("warehouse", False, str(error))
    answered = f"{place} answered in {time.monotonic() - began:.2f} s: {there} tables and views"
    return Finding("warehouse", there > 0, answered, "Grant the connected user what the project's queries read.")


def _books(runtime: Runtime) -> list[Finding]:
    """Version and rights in each book, and what PROD serves."""
    settings = runtime.settings
    findings, books = [], Databases(settings).books()
    for book in books:
        try:
            findings.append(_book(book))
        except PenstockError as error:
            findings.append(Finding(f"book {book.name}", False, str(error)))
        except psycopg.Error as error:
            findings.append(
                Finding(f"book {book.name}", False, str(error).strip().splitlines()[0], "Run `penstock up`.")
            )
    whole = findings[-1].ok
    if all(finding.ok for finding in findings):
        try:
            demand_apart({book.name: book.place() for book in books})
        except PenstockError as error:
            findings.append(Finding("books", False, str(error)))
    findings.append(surroundings.clock(books.prod))
    if settings.dagster_url:
        findings.append(surroundings.dagster_storage(settings.dagster_url))
    if not whole:
        return [*findings, untried("what is served", "book prod is not well, see above")]
    return findings + _served(runtime, books.prod)


def _book(book: Book) -> Finding:
    """Whether the code works with the book, and the connected role has what it needs there for what it does."""
    name = f"book {book.name}"
    with book.connect(autocommit=True) as connection:
        demand_usable(f"book {book.name!r}", connection)
        found = version(connection)
    if found != newest():
        todo = "Run `penstock migrate`." if (found or 0) < newest() else "Install the newer Penstock."
        return Finding(name, False, f"{named(found)}, where this Penstock needs version {newest()}", todo)
    with book.connect() as connection:
        rights, ahead = roles.rights(connection), days_ahead(connection)
    if ahead < FEW_DAYS:
        return Finding(
            name,
            False,
            f"the journal has partitions for {ahead} more days, and nothing is answered after them",
            "Look at Dagster's retention_schedule, which makes them daily; `penstock migrate` makes them now.",
        )
    text = f"version {found}, as {rights.user}, who may {', '.join(rights.duties) or 'do nothing'}"
    if rights.lacking:
        text += f"; lacks for {', '.join(rights.member_of) or 'reading'}: {' '.join(rights.lacking[:5])}"
        text += f" and {len(rights.lacking) - 5} more" if len(rights.lacking) > 5 else ""
    return Finding(name, not rights.lacking, text, "`penstock doctor --roles` prints the SQL that grants all of it.")


def _project(project: Project) -> list[Finding]:
    """Which project this is, and whether every file of it imports."""
    from penstock.contract.registry import read_contracts
    from penstock.declare.discovery import declared

    contracts, declarations = read_contracts(project), declared(project)
    found = f"{project.name} at {project.root}: {counted(len(contracts.by_model), 'contract')}"
    found += f", {counted(len(declarations.models), 'model')}"
    broken = dict.fromkeys(map(str, declarations.broken))
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


def _home(home: Path) -> Finding:
    folder = next(path for path in (home, *home.parents) if path.exists())
    todo = "Set PENSTOCK_HOME to a folder that you may write."
    return Finding("home", os.access(folder, os.W_OK | os.X_OK), str(home), todo)


def _disk(home: Path) -> Finding:
    folder = next(path for path in (home, *home.parents) if path.exists())
    free = shutil.disk_usage(folder).free
    return Finding("disk", free > LEAST_DISK, f"{free / 1e9:.1f} GB free", f"Free {LEAST_DISK / 1e9:.0f} GB.")


def _ports(check: Callable[[], str]) -> Finding:
    try:
        return Finding("ports", True, check())
    except PenstockError as error:
        return Finding("ports", False, f"{error.thing} is {error.found}", error.todo)


def _abandoned() -> list[Finding]:
    """Data of embedded servers that no home knows any more; only root has such."""
    return [
        Finding("abandoned data", False, str(folder), f"If no home was moved, remove it: rm -r {folder}")
        for folder in postgres_data.abandoned()
    ]


def _served(runtime: Runtime, prod: Book) -> list[Finding]:
    """Whether PROD has a release of every model, and its tables are as fresh as declared."""
    known, releases = runtime.declared, current_releases(prod)
    with prod.connect() as connection:
        published = pointers(connection)
    findings = [_release(runtime.artifacts, model, releases.get(model)) for model in known.models]
    for name, table in known.tables.items():
        pointer = published.get(name)
        found = f"{name}: as of {pointer.as_of:%Y-%m-%d %H:%M} UTC" if pointer else f"{name} is not published"
        fresh = pointer is not None and runtime.settings.now() - pointer.as_of <= table.fresh_within
        findings.append(Finding("freshness", fresh, found, f"Run `penstock publish {name}`."))
    return findings


def _release(store: ArtifactStore, model: str, current: CurrentRelease | None) -> Finding:
    """Whether a model has a release, whose artifact is in the store."""
    if current is None:
        return Finding("release", False, f"{model} has no release", f"Run `penstock train {model}`.")
    there = store.exists(current.artifact)
    found = f"{model} release {current.release}" + ("" if there else ", whose artifact is not in the store")
    return Finding("release", there, found, f"Restore {store.url}, or `penstock rollback {model}`.")
