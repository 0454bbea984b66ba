"""The checks of `penstock doctor` about what others run for Penstock: stores, Postgres servers, keys, clock, Ray."""

import socket
import time
from collections.abc import Callable

import psycopg

from penstock.cli.system.finding import Finding
from penstock.errors import PenstockError
from penstock.postgres.book import Book
from penstock.postgres.clock import seconds_ahead
from penstock.postgres.connecting import connect
from penstock.postgres_url import shown_hosts
from penstock.serving.routes.keys import Keys
from penstock.settings import Settings
from penstock.store_url import ask_store, shown_store

MOST_CLOCK_SECONDS = 2.0
"""Ids of predictions hold the clock of the replicas, and the journal's days that of Postgres."""
CONNECT_SECONDS = 3.0


def stores(settings: Settings) -> list[Finding]:
    """Whether the stores of snapshots and artifacts can be listed."""
    return [_store(*place) for place in _places(settings)]


def demand_stores(settings: Settings) -> None:
    """PenstockError where a store that is elsewhere does not answer, before anything is started that needs it."""
    for name, url, variable in _places(settings):
        if "://" in url:
            ask_store(name, url, variable)


def _places(settings: Settings) -> list[tuple[str, str, str]]:
    """Name, URL and variable of each store."""
    return [
        ("store of snapshots", settings.snapshots, "PENSTOCK_SNAPSHOTS_URL"),
        ("store of artifacts", settings.artifacts, "PENSTOCK_ARTIFACTS_URL"),
    ]


def _store(name: str, url: str, variable: str) -> Finding:
    began = time.monotonic()
    try:
        there = ask_store(name, url, variable)
    except PenstockError as error:
        return Finding(name, False, str(error))
    answered = f"{shown_store(url)} answered in {time.monotonic() - began:.2f} s"
    return Finding(name, True, answered if there else f"{answered}: empty so far")


def dagster_storage(settings: Settings) -> Finding:
    """Whether the database of Dagster's runs and schedules answers."""
    try:
        with connect("Dagster's storage", settings.dagster_url, autocommit=True, application_name="penstock doctor"):
            return Finding("Dagster's storage", True, f"{shown_hosts(settings.dagster_url)} answers")
    except PenstockError as error:
        return Finding("Dagster's storage", False, str(error))


def clock(book: Book) -> Finding:
    """Whether the clock of this machine is that of the book's server."""
    try:
        with book.connect(autocommit=True) as connection:
            off = seconds_ahead(connection)
    except (PenstockError, psycopg.Error) as error:
        return Finding("clock", False, str(error).strip().splitlines()[0])
    text = f"{abs(off):.1f} s {'behind' if off > 0 else 'before'} that of {shown_hosts(book.url)}"
    return Finding("clock", abs(off) <= MOST_CLOCK_SECONDS, text, "Let both machines follow NTP.")


def keys(settings: Settings) -> Finding:
    """Whether the service demands keys where it has to, and which its file has."""
    faults: list[str] = []
    try:
        found = Keys(settings, say=faults.append).described()
    except PenstockError as error:
        return Finding("keys", False, str(error))
    return Finding("keys", not faults, "; ".join(faults) or found, "Correct those lines.")


def ray_cluster(settings: Settings) -> list[Finding]:
    """Whether the cluster that trains can be reached, where one is named."""
    if not settings.ray_address:
        return []
    host, _, port = settings.ray_address.rpartition("://")[2].partition(":")
    todo = "Look at PENSTOCK_RAY_ADDRESS, and whether that head runs."
    return [_reached("Ray for training", lambda: socket.create_connection((host, int(port)), CONNECT_SECONDS), todo)]


def _reached(name: str, connecting: Callable[[], socket.socket], todo: str) -> Finding:
    try:
        connecting().close()
    except (OSError, ValueError) as error:
        return Finding(name, False, str(error), todo)
    return Finding(name, True, "answers")
