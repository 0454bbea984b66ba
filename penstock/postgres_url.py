"""The URL of a Postgres as operators write it: with any driver or none, of one or more hosts; and what may be shown."""

import os
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from penstock.errors import PenstockError

SCHEMES = ("postgres", "postgresql")
SYSTEM = "system"
"""The value of `sslrootcert` that means the certificates of the system, with verify-full."""
_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
"""Where the systems keep their certificates: Debian, Fedora, SUSE, and Alpine or macOS."""


def libpq_url(name: str, text: str) -> str:
    """The URL of the variable `name` as every driver takes it: `postgresql://`, several hosts in its query.

    PenstockError, without the text, which may hold a password, where it is no URL of a Postgres.
    """
    scheme, separator, rest = text.partition("://")
    if not separator or scheme.partition("+")[0].lower() not in SCHEMES:
        raise _no_url(name)
    try:
        parts = urlsplit(f"postgresql://{rest}")
        query = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True) if parts.query else []
    except ValueError:
        raise _no_url(name) from None
    user, at, hosts = parts.netloc.rpartition("@")
    if parts.fragment or "@" in user or (query and any(not key for key, _ in query)):
        raise _no_url(name)
    if "," in hosts:
        places = [_host_and_port(one) for one in hosts.split(",")]
        named = f"host={','.join(host for host, _ in places)}&port={','.join(port or '5432' for _, port in places)}"
        parts = parts._replace(netloc=f"{user}{at}", query=f"{named}&{parts.query}" if parts.query else named)
    return urlunsplit(parts)


def use_system_certificates(*urls: str) -> None:
    """Let every driver find the certificates that `sslrootcert=system` means.

    Their wheels bring an OpenSSL of their own, which looks where this system has none. SSL_CERT_FILE and SSL_CERT_DIR
    of the process come first."""
    if not any(("sslrootcert", SYSTEM) in parse_qsl(urlsplit(url).query) for url in urls if "sslrootcert" in url):
        return
    if os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR"):
        return
    if found := next((bundle for bundle in _BUNDLES if Path(bundle).is_file()), None):
        os.environ["SSL_CERT_FILE"] = found


def shown_hosts(url: str) -> str:
    """The hosts and ports of a URL, and nothing else of it: it may hold a password."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    hosts, ports = query.get("host", ""), query.get("port", "")
    if not hosts:
        return parts.netloc.rpartition("@")[2] or "the socket of this machine"
    if "," not in ports:
        return f"{hosts}:{ports}" if ports else hosts
    return ",".join(f"{host}:{port}" for host, port in zip(hosts.split(","), ports.split(","), strict=False))


def _host_and_port(text: str) -> tuple[str, str]:
    if text.startswith("["):
        host, _, port = text.removeprefix("[").partition("]")
        return host, port.removeprefix(":")
    host, _, port = text.partition(":")
    return host, port


def _no_url(name: str) -> PenstockError:
    return PenstockError(
        name,
        expected="a URL such as postgresql://user:password@host:5432/database?sslmode=verify-full",
        found="another text",
        todo="What is special in a password is percent-encoded: %40 for @, %2F for /, %3A for a colon, %23 for #.",
    )
