"""API keys: a file of SHA-256 digests, one per line, several at once so that keys can be rotated."""

import hashlib
import hmac
from pathlib import Path

from penstock.serving.http.exchange import HttpRequest
from penstock.serving.http.problems import Problem
from penstock.settings import SettingError, Settings

LOOPBACK = ("127.0.0.1", "::1", "localhost")
OPEN = ("/healthz", "/readyz", "/v2/health/live", "/v2/health/ready")


class Keys:
    """Who may ask. Without a file everyone may; a host that is not loopback demands a file.

    A line is the key's SHA-256 in hex, then anything for the reader: `printf %s "$KEY" | sha256sum`. A request
    carries the key as `Authorization: Bearer KEY` or `X-API-Key: KEY`.
    """

    def __init__(self, settings: Settings) -> None:
        self._digests: list[str] = []
        if settings.api_keys_file:
            lines = Path(settings.api_keys_file).read_text().splitlines()
            self._digests = [line.split()[0].lower() for line in lines if line.strip() and not line.startswith("#")]
        elif settings.http_host not in LOOPBACK:
            raise SettingError(
                "PENSTOCK_API_KEYS_FILE",
                expected=f"a file of API keys, since PENSTOCK_HTTP_HOST is {settings.http_host}",
                found="nothing",
                todo='Write it: printf %s "$KEY" | sha256sum > keys',
            )
        self._required = bool(settings.api_keys_file)

    def check(self, request: HttpRequest) -> None:
        """Problem 401 where a key is needed and not given."""
        if not self._required or request.path in OPEN:
            return
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
