"""The checks of `penstock doctor` about what others run for Penstock: stores, Postgres servers, keys, clock, Ray."""

import socket
import time
from collections.abc import Callable, Mapping

import psycopg

from penstock.cli.system.certificate import SOON_DAYS, days_left
from penstock.cli.system.finding import Finding
from penstock.errors import PenstockError, demand_none
from penstock.postgres.book import Book
from penstock.postgres.clock import seconds_ahead
from penstock.postgres.connecting import connect
from penstock.postgres_url import shown_hosts
from penstock.serving.routes.keys import Keys
from penstock.store_url import ask_store, demand_writable, shown_store

MOST_CLOCK_SECONDS = 2.0
"""Ids of predictions hold the clock of the replicas, and the journal's days that of Postgres."""
CONNECT_SECONDS = 3.0


def stores(urls: Mapping[str, str]) -> list[Finding]:
    """Whether the stores of snapshots and artifacts can be listed."""
    return [_store(name, url) for name, url in urls.items()]


def demand_stores(urls: Mapping[str, str], *, to_write: bool = False) -> None:
    """PenstockError with a sentence for each store that does not answer, or is a folder that may not be written where
    `to_write`."""
    faults = []
    for name, url in urls.items():
        try:
            _ask(name, url)
            if to_write:
                demand_writable(f"store of {name}", url, _variable(name))
        except PenstockError as error:
            faults.append(error)
    demand_none(faults)


def _ask(name: str, url: str) -> int:
    return ask_store(f"store of {name}", url, _variable(name))


def _variable(name: str) -> str:
    return f"PENSTOCK_{name.upper()}_URL"


def _store(of: str, url: str) -> Finding:
    began, name = time.monotonic(), f"store of {of}"
    try:
        there = _ask(of, url)
    except PenstockError as error:
        return Finding(name, False, str(error))
    answered = f"{shown_store(url)} answered in {time.monotonic() - began:.2f} s"
    return Finding(name, True, answered if there else f"{answered}: empty so far")


def dagster_storage(url: str) -> Finding:
    """Whether the database of Dagster's runs and schedules answers."""
    try:
        with connect("Dagster's storage", url, autocommit=True, application_name="penstock doctor"):
            return Finding("Dagster's storage", True, f"{shown_hosts(url)} answers")
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


def keys(file: str, host: str) -> Finding:
    """Whether a service at this host demands keys where it has to, and which its file has."""
    faults: list[str] = []
    try:
        found = Keys(file, host, say=faults.append).described()
    except PenstockError as error:
        return Finding("keys", False, str(error))
    return Finding("keys", not faults, "; ".join(faults) or found, "Correct those lines.")


def certificate(file: str) -> list[Finding]:
    """Whether the service can have HTTPS by its certificate, where it has one, and for how long."""
    if not file:
        return []
    try:
        days = days_left(file)
    except PenstockError as error:
        return [Finding("certificate", False, str(error))]
    return [Finding("certificate", days > SOON_DAYS, f"{file} is valid for {days:.0f} more days", "Renew it.")]


def ray_cluster(address: str) -> list[Finding]:
    """Whether the cluster that trains can be reached, where one is named."""
    if not address:
        return []
    host, _, port = address.rpartition("://")[2].partition(":")
    todo = "Look at PENSTOCK_RAY_ADDRESS, and whether that head runs."
    return [_reached("Ray for training", lambda: socket.create_connection((host, int(port)), CONNECT_SECONDS), todo)]


def _reached(name: str, connecting: Callable[[], socket.socket], todo: str) -> Finding:
    try:
        connecting().close()
    except (OSError, ValueError) as error:
        return Finding(name, False, str(error), todo)
    return Finding(name, True, "answers")
