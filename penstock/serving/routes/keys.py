"""API keys: a file of SHA-256 digests, one per line, several at once so that keys can be rotated."""

import hashlib
import hmac
import logging
import re
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from penstock.serving.http.exchange import HttpRequest
from penstock.serving.http.problems import Problem
from penstock.settings import SettingError, Settings

LOOPBACK = ("127.0.0.1", "::1", "localhost")
OPEN = ("/healthz", "/readyz", "/v2/health/live", "/v2/health/ready")
LOOK_SECONDS = 1.0
DIGEST = re.compile(r"[0-9a-f]{64}")

log = logging.getLogger("penstock.serve")


def reached_at(settings: Settings, address: str) -> Settings:
    """The settings of a replica on the node at `address`: beyond loopback that is its host, whatever PENSTOCK_HTTP_HOST
    says, because whoever runs the cluster opened it."""
    if address in LOOPBACK or settings.http_host not in LOOPBACK:
        return settings
    return msgspec.structs.replace(settings, http_host=address)


class Keys:
    """Who may ask. Without a file everyone may; a host that is not loopback demands a file.

    - A line is the key's SHA-256 in hex, then anything for the reader: `printf %s "$KEY" | sha256sum`. A request
      carries the key as `Authorization: Bearer KEY` or `X-API-Key: KEY`.
    - The file is read again within LOOK_SECONDS of its change: a key that was added is valid then, one that was
      removed no longer. Where it cannot be read, the keys that were read last stay valid, and the log says so.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._digests: list[str] = []
        self._clock, self._look_at = clock, 0.0
        self._version: tuple[int, int, int] | None = None
        self._file = Path(settings.api_keys_file) if settings.api_keys_file else None
        if self._file is not None:
            try:
                self._read(self._file)
            except OSError as error:
                expected = "a file of SHA-256 digests of API keys"
                raise SettingError(
                    f"PENSTOCK_API_KEYS_FILE={self._file}",
                    expected=expected,
                    found=str(error.strerror),
                    todo="Write it.",
                ) from None
        elif settings.http_host not in LOOPBACK:
            raise SettingError(
                "PENSTOCK_API_KEYS_FILE",
                expected=f"a file of API keys, since {settings.http_host} can be reached from elsewhere",
                found="nothing",
                todo='Write it: printf %s "$KEY" | sha256sum > keys',
            )

    def check(self, request: HttpRequest) -> None:
        """Problem 401 where a key is needed and not given."""
        if self._file is None or request.path in OPEN:
            return
        if self._clock() >= self._look_at:
            self._read_again(self._file)
        given = request.headers.get(b"x-api-key", b"")
        scheme, _, token = request.headers.get(b"authorization", b"").partition(b" ")
        if not given and scheme.lower() == b"bearer":
            given = token.strip()
        digest = hashlib.sha256(given).hexdigest()
        matches = [hmac.compare_digest(digest, known) for known in self._digests]
        if not given or not any(matches):
            raise Problem(
                401,
                "unauthorized",
                "x-api-key or authorization: expected a known API key",
                headers=((b"www-authenticate", b"Bearer"),),
            )

    def _read_again(self, file: Path) -> None:
        try:
            self._read(file)
        except OSError as error:
            if self._version is not None:
                log.error("%s: %s; the keys that were read last stay valid", file, error.strerror)
            self._version = None

    def _read(self, file: Path) -> None:
        """Read the file where it is another than the one that was read last."""
        self._look_at = self._clock() + LOOK_SECONDS
        found = file.stat()
        version = (found.st_ino, found.st_size, found.st_mtime_ns)
        if version == self._version:
            return
        digests = []
        for number, line in enumerate(file.read_text().splitlines(), 1):
            if not line.strip() or line.startswith("#"):
                continue
            digest = line.split()[0].lower()
            if DIGEST.fullmatch(digest):
                digests.append(digest)
            else:
                log.error(
                    "%s, line %d: expected the SHA-256 of a key in hex; nobody gets in by this line", file, number
                )
        self._digests, self._version = digests, version
