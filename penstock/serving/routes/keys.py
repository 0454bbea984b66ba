"""API keys: who may ask what, and how often; read again when their file changes, so that keys can be rotated."""

import hashlib
import hmac
import logging
import math
import re
import time
from collections.abc import Callable
from pathlib import Path

from penstock.serving.http.exchange import HttpRequest
from penstock.serving.http.problems import Problem
from penstock.serving.routes.key_file import Key, Scope, read_keys
from penstock.settings import SettingError

LOOPBACK = ("127.0.0.1", "::1", "localhost")
OPEN = ("/healthz", "/readyz", "/v2/health/live", "/v2/health/ready")
LOOK_SECONDS = 1.0
NEEDED: tuple[tuple[re.Pattern[str], Scope], ...] = (
    (re.compile(r"/models/[^/]+/predict|/v2/models/.+/infer"), "predict"),
    (re.compile(r"/models/[^/]+/predictions(/.*)?"), "journal"),
    (re.compile(r"/metrics|/state"), "metrics"),
)
"""Paths and the scope that they need; all others need a key of any scope."""

log = logging.getLogger("penstock.serve")


def reached_at(host: str, *addresses: str) -> str:
    """The host at which a replica is reached.

    - `host`: PENSTOCK_HTTP_HOST. It is returned if it is not loopback, or if all addresses are.
    - `addresses`: of the replica's node and of the service. Otherwise the first one beyond loopback is returned,
      because whoever runs the cluster opened it.
    """
    beyond = [address for address in addresses if address not in LOOPBACK]
    return beyond[0] if beyond and host in LOOPBACK else host


class Bucket:
    """The tokens of one key in this replica. A request takes one; `rate` come back each second, up to one second's.

    `now` and `rate` are in seconds of one clock, and requests a second.
    """

    def __init__(self, rate: float, now: float) -> None:
        self._rate, self._most = rate, max(rate, 1.0)
        self._tokens, self._at = self._most, now

    def take(self, now: float) -> float:
        """Take a token and return 0; without one, return the seconds until the next one."""
        self._tokens = min(self._most, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens < 1:
            return (1 - self._tokens) / self._rate
        self._tokens -= 1
        return 0.0


class Keys:
    """Who may ask. Without a `file` everyone may; a `host` that is not loopback demands a file.

    - A line is the key's SHA-256 in hex (`printf %s "$KEY" | sha256sum`), then its name, scopes and rate; see
      `key_file.read_key`. A request carries the key as `Authorization: Bearer KEY` or `X-API-Key: KEY`.
    - The file is read again within LOOK_SECONDS of its change: a key that was added is valid then, one that was
      removed no longer. Where it cannot be read, the keys that were read last stay valid, and the log says so.
    """

    def __init__(
        self,
        file: str,
        host: str,
        clock: Callable[[], float] = time.monotonic,
        say: Callable[[str], None] = log.error,
    ) -> None:
        self._say = say
        self._keys: list[Key] = []
        self._buckets: dict[str, Bucket] = {}
        self._clock, self._look_at = clock, 0.0
        self._version: tuple[int, int, int] | None = None
        self._file = Path(file) if file else None
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
        elif host not in LOOPBACK:
            raise SettingError(
                "PENSTOCK_API_KEYS_FILE",
                expected=f"a file of API keys, since {host} can be reached from elsewhere",
                found="nothing",
                todo='Write it: printf %s "$KEY" | sha256sum > keys',
            )

    @property
    def lets_nobody_in(self) -> bool:
        """Whether there is a file, and no line of it is a key."""
        return self._file is not None and not self._keys

    def described(self) -> str:
        """Which keys there are, without any of them."""
        if self._file is None:
            return "none are demanded: the service listens on loopback alone"
        kinds = [f"{key} ({', '.join(sorted(key.scopes))})" for key in self._keys]
        return f"{len(kinds)} in {self._file}: {', '.join(kinds)}" if kinds else f"none in {self._file}: nobody gets in"

    def check(self, request: HttpRequest) -> None:
        """Problem if the path needs a key: 401 without a known one, 403 without its scope, 429 beyond its rate."""
        if self._file is None or request.path in OPEN:
            return
        if self._clock() >= self._look_at:
            self._read_again(self._file)
        key = self._given(request)
        needed = next((scope for path, scope in NEEDED if path.fullmatch(request.path)), None)
        if needed is not None and needed not in key.scopes:
            has = ", ".join(sorted(key.scopes))
            raise Problem(403, "forbidden", f"API key {key}: expected the scope {needed}, found {has}")
        if (bucket := self._buckets.get(key.digest)) and (seconds := bucket.take(self._clock())):
            raise Problem(
                429,
                "too-many-requests",
                f"API key {key}: expected at most {key.rate:g} requests a second to a replica, found more",
                headers=((b"retry-after", str(math.ceil(seconds)).encode()),),
            )

    def _given(self, request: HttpRequest) -> Key:
        """The key of a request; Problem 401 where it is none of the file. All are compared, each in constant time."""
        given = request.headers.get(b"x-api-key", b"")
        scheme, _, token = request.headers.get(b"authorization", b"").partition(b" ")
        if not given and scheme.lower() == b"bearer":
            given = token.strip()
        digest = hashlib.sha256(given).hexdigest()
        matches = [key for key in self._keys if hmac.compare_digest(digest, key.digest)]
        if not given or not matches:
            raise Problem(
                401,
                "unauthorized",
                "x-api-key or authorization: expected a known API key",
                headers=((b"www-authenticate", b"Bearer"),),
            )
        return matches[0]

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
        state = file.stat()
        version = (state.st_ino, state.st_size, state.st_mtime_ns)
        if version == self._version:
            return
        keys = []
        for found in read_keys(file):
            if isinstance(found, Key):
                keys.append(found)
            else:
                number, error = found
                self._say(f"{file}, line {number}: {error}; nobody gets in by this line")
        before = {key.digest: key for key in self._keys}
        now = self._clock()
        self._buckets = {
            key.digest: self._buckets[key.digest] if before.get(key.digest) == key else Bucket(key.rate, now)
            for key in keys
            if key.rate < math.inf
        }
        self._keys, self._version = keys, version
