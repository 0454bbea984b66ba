"""The URL of a Postgres as operators write it: with any driver or none, of one or more hosts; and what may be shown."""

import difflib
import os
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from penstock.errors import PenstockError

SCHEMES = ("postgres", "postgresql")
MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
"""What `sslmode` can be."""
FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl")
"""Parameters of a URL that name a file."""
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
    if (mode := dict(query).get("sslmode", MODES[-1])) not in MODES:
        near = difflib.get_close_matches(mode, MODES, 1, 0)[0]
        raise PenstockError(
            name, expected=f"an sslmode among {', '.join(MODES)}", found=repr(mode), todo=f"Did you mean {near}?"
        )
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


def demand_files(name: str, url: str) -> None:
    """PenstockError where a file that a URL names, of certificates or a key, cannot be read. `name` is what the message
    calls the database. Some drivers say so, and some connect without it."""
    for parameter, text in parse_qsl(urlsplit(url).query):
        if parameter not in FILES or (parameter, text) == ("sslrootcert", SYSTEM):
            continue
        found = "" if Path(text).is_absolute() else "a relative path, which is another one in each process"
        try:
            Path(text).open("rb").close()
        except OSError as error:
            found = str(error.strerror)
        if found:
            raise PenstockError(
                f"{name}, certificate file {text}",
                expected=f"the file that {parameter} names in the URL",
                found=found,
                todo="Correct the URL, or that file; sslrootcert=system means the certificates of this machine.",
            )


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
