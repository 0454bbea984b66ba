"""The file of API keys: one line per key, with its name, its scopes and its rate."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

Scope = Literal["predict", "journal", "metrics"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
DIGEST = re.compile(r"[0-9a-f]{64}")
_OPTION = re.compile(r"(name|scopes|rate)=(.*)")


@dataclass(frozen=True)
class Key:
    """One API key, by its SHA-256 in hex.

    - Its `scopes` say what it may ask besides descriptions of models: predictions, the journal, metrics.
    - `rate` is how many requests a second it may send to each replica, in bursts of as many; infinity is no limit.
    """

    digest: str
    name: str = ""
    scopes: frozenset[str] = frozenset(SCOPES)
    rate: float = math.inf

    def __str__(self) -> str:
        return self.name or f"{self.digest[:8]}…"


class KeyLineError(ValueError):
    """A line that lets nobody in."""


def read_keys(file: Path) -> Iterator[Key | tuple[int, KeyLineError]]:
    """The key of each line, or the line's number and its fault. Empty lines and those that begin with # have none."""
    for number, line in enumerate(file.read_text(errors="replace").splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            try:
                yield read_key(line)
            except KeyLineError as error:
                yield number, error


def read_key(line: str) -> Key:
    """The key of a line: `DIGEST [name=NAME] [scopes=SCOPE,…] [rate=NUMBER]`; words of any other form are a note.

    A line without scopes has all of them, as `sha256sum` writes it."""
    digest, *words = line.split()
    if not DIGEST.fullmatch(digest.lower()):
        raise KeyLineError("expected the SHA-256 of a key in hex")
    options = {found[1]: found[2] for word in words if (found := _OPTION.fullmatch(word))}
    scopes = frozenset(options["scopes"].split(",")) if "scopes" in options else frozenset(SCOPES)
    if unknown := sorted(scopes - set(SCOPES)):
        raise KeyLineError(f"expected scopes among {', '.join(SCOPES)}, found {', '.join(map(repr, unknown))}")
    return Key(digest.lower(), options.get("name", ""), scopes, _rate(options.get("rate")))


def _rate(text: str | None) -> float:
    try:
        rate = math.inf if text is None else float(text)
    except ValueError:
        rate = 0.0
    if not rate > 0:
        raise KeyLineError(f"expected a rate of more than 0 requests a second, found {text!r}")
    return rate
