"""The URL of a warehouse: its kind, what of it may be shown, and the drivers that a kind needs."""

import importlib
import re
from dataclasses import dataclass
from types import ModuleType
from typing import Self

from psycopg.pq import Conninfo
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from penstock.warehouse.interface import WarehouseError

VARIABLE = "PENSTOCK_WAREHOUSE_URL"
PORTS = {"redshift": 5439}
"""The port of a kind where the URL names none and libpq's own is another."""
UNLOAD = frozenset({"unload", "iam_role", "storage_integration"})
"""What in the query of a URL is about unloads, and no business of a driver."""
_SEVERAL_HOSTS = re.compile(r"//(?:[^/]*@)?([^/?@]*,[^/?@]*)")
_WITH_PORT = re.compile(r"[^:/]+:\d+")


@dataclass(frozen=True)
class WarehouseUrl:
    """A URL of a server. Its text is what may be shown of it: no password, and no query, which may hold one."""

    parsed: URL

    @classmethod
    def parse(cls, text: str) -> Self:
        """WarehouseError, without the text, where it is no URL."""
        scheme, _, rest = text.partition(":")
        ports = ""
        if several := _SEVERAL_HOSTS.match(rest):
            hosts, ports = _hosts_and_ports(several[1])
            rest = rest[: several.start(1)] + hosts + rest[several.end(1) :]
        try:
            parsed = make_url(f"{scheme.partition('+')[0]}:{rest}")
            parsed = parsed.update_query_dict({"port": ports} if ports else {})
        except (ArgumentError, ValueError):
            parsed = None
        if parsed is None or "@" in f"{parsed.host}{parsed.database}":
            raise WarehouseError(
                VARIABLE,
                expected=f"a URL such as {scheme}://user:password@host:5432/database",
                found="another",
                todo="What is special in a password is percent-encoded: %40 for @, %2F for /, %3A for a colon.",
            )
        return cls(parsed)

    def libpq(self) -> dict[str, str]:
        """The parameters of libpq, also from the query. WarehouseError for one that libpq does not have."""
        url = self.parsed
        given = {
            "host": url.host,
            "port": url.port or PORTS.get(url.drivername),
            "user": url.username,
            "password": url.password,
        }
        found = {name: str(value) for name, value in {**given, "dbname": url.database}.items() if value is not None}
        known = {option.keyword.decode() for option in Conninfo.get_defaults()}
        for name, value in self.driver_options().items():
            if name not in known:
                raise WarehouseError(
                    f"{name!r} in the query of {VARIABLE}",
                    expected="a parameter of libpq, such as sslmode, sslrootcert or options",
                    found="none of that name",
                    todo="See https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS.",
                )
            found[name] = value if isinstance(value, str) else ",".join(value)
        hosts, ports = _hosts_and_ports(found.get("host", ""))
        return {**found, "host": hosts, "port": ports} if ports else found

    def driver_options(self) -> dict[str, str | tuple[str, ...]]:
        """The query of the URL as a driver gets it."""
        return {name: value for name, value in self.parsed.query.items() if name not in UNLOAD}

    def unload_option(self, name: str) -> str:
        """An option of UNLOAD; empty where the URL has none."""
        return str(self.parsed.query.get(name, ""))

    def __str__(self) -> str:
        return self.parsed.set(query={}).render_as_string()


def _hosts_and_ports(listed: str) -> tuple[str, str]:
    """`a,b` and `1,2` of `a:1,b:2`, of several hosts in a URL; no ports where none has one."""
    hosts = [one.partition(":") if _WITH_PORT.fullmatch(one) else (one, "", "") for one in listed.split(",")]
    ports = [port for _, _, port in hosts]
    return ",".join(host for host, _, _ in hosts), ",".join(ports) if any(ports) else ""


def kind_of(url: str) -> str:
    """`postgresql` of `PostgreSQL+psycopg2://…`."""
    return url.partition(":")[0].partition("+")[0].lower()


def shown(url: str) -> str:
    """What may be shown of any warehouse's URL."""
    if kind_of(url) in ("duckdb", "chdb"):
        return url.partition("?")[0]
    return str(WarehouseUrl.parse(url))


def unreachable(place: WarehouseUrl, error: Exception) -> WarehouseError:
    """What is said where a server cannot be reached, in the driver's own words."""
    return WarehouseError(
        f"warehouse at {place}",
        expected="to be reached",
        found=str(error).strip().partition("\n")[0],
        todo="Correct PENSTOCK_WAREHOUSE_URL, or start the database.",
    )


def driver(module: str, extra: str) -> ModuleType:
    """The module of a driver; WarehouseError that names the extra which brings it."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError:
        raise WarehouseError(
            f"warehouse of kind {extra!r}",
            expected=f"its driver, {module.partition('.')[0]!r}",
            found="not installed",
            todo=f"Install it: pip install 'penstock[{extra}]'",
        ) from None
