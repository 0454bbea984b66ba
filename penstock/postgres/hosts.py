"""What a libpq URL says, as asyncpg takes it: one host after the other, and the parameters that asyncpg knows."""

import ssl
from collections.abc import Iterator
from itertools import repeat
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from penstock.postgres_url import SYSTEM

_LIBPQ_ALONE = {
    "channel_binding", "client_encoding", "connect_timeout", "fallback_application_name", "gssdelegation", "gssencmode",
    "hostaddr", "keepalives", "keepalives_count", "keepalives_idle", "keepalives_interval", "load_balance_hosts",
    "max_protocol_version", "min_protocol_version", "require_auth", "requirepeer", "sslcertmode", "sslcompression",
    "sslcrldir", "sslsni", "tcp_user_timeout",
}  # fmt: skip
"""Parameters of libpq that asyncpg would send to the server as settings, which refuses them."""


def asyncpg_arguments(url: str) -> list[dict[str, Any]]:
    """For each host of a libpq URL, in order, the arguments with which asyncpg.connect reaches it alone.

    asyncpg has one time limit for all hosts, which the first one uses up where it does not answer at all.
    """
    parts = urlsplit(url)
    query = {key: value for key, value in parse_qsl(parts.query, keep_blank_values=True) if key not in _LIBPQ_ALONE}
    more: dict[str, Any] = {}
    if query.get("sslrootcert") == SYSTEM:
        del query["sslrootcert"]
        query.pop("sslmode", None)
        more["ssl"] = ssl.create_default_context()
    return [
        {"dsn": urlunsplit(parts._replace(netloc=netloc, query=urlencode(query | place, quote_via=quote))), **more}
        for netloc, place in _places(parts.netloc, query)
    ]


def _places(netloc: str, query: dict[str, str]) -> Iterator[tuple[str, dict[str, str]]]:
    """The network location and the parameters of each host; both are removed from `query`."""
    user, at, listed = netloc.rpartition("@")
    hosts, ports = query.pop("host", ""), query.pop("port", "")
    if not hosts:
        named = {"port": ports} if ports else {}
        yield from ((f"{user}{at}{one}", named) for one in listed.split(","))
        return
    each = iter(ports.split(",")) if "," in ports else repeat(ports)
    for host in hosts.split(","):
        port = next(each)
        yield f"{user}{at}", {"host": host, **({"port": port} if port else {})}
