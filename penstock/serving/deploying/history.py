"""What was deployed on the local head: the code and configuration of each deploy, so that the last can be undone."""

import shutil
import time
from datetime import datetime
from pathlib import Path

import msgspec

from penstock.serving.deploying.code_copy import Code

KEPT = 10
FRESH_SECONDS = 3600.0
"""A copy of code that is not older may be of a deploy that is about to begin."""


class Deploy(msgspec.Struct, frozen=True):
    """One deploy that serves, or served.

    - `config` is the text of its serve_config.yaml.
    - `contracts` are the digests of its contracts, by model.
    - `head` is the address of the head that it was deployed on: another head begins anew.
    """

    number: int
    at: datetime
    code: Code
    config: str
    contracts: dict[str, str]
    head: str


class Roll(msgspec.Struct, frozen=True):
    """A deploy that is under way: a replica of this code that cannot serve all of `models` does not start."""

    code: str
    models: tuple[str, ...]


class History:
    """The deploys of one home, newest last. What --back goes back from is forgotten."""

    def __init__(self, home: Path) -> None:
        self.place = home / "deploys"
        self._file = self.place / "history.json"
        self._roll = self.place / "roll.json"

    def all(self) -> list[Deploy]:
        """Every deploy that is kept, oldest first."""
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=list[Deploy])
        except (OSError, msgspec.DecodeError):
            return []

    def newest(self, back: int = 0) -> Deploy | None:
        """The newest deploy, or the one that lies so far behind it."""
        found = self.all()
        return found[-1 - back] if len(found) > back else None

    def running(self, head: str) -> Deploy | None:
        """The deploy that this head serves."""
        newest = self.newest()
        return newest if newest and newest.head == head else None

    def add(self, deploy: Deploy) -> int:
        """Keep a deploy that serves as the newest, with the next number, which is returned. One of the same content
        stays one deploy."""
        found = self.all()
        newest = found[-1].number if found else 0
        same = bool(found) and _content(found[-1]) == _content(deploy)
        if same:
            found.pop()
        numbered = msgspec.structs.replace(deploy, number=newest + (not same))
        self._write([*found, numbered][-KEPT:])
        return numbered.number

    def go_back(self, deploy: Deploy) -> None:
        """Forget the newest deploy; the one before it serves again, as `deploy`."""
        self._write([*self.all()[:-2], deploy])

    def begin(self, roll: Roll) -> None:
        """Say to replicas that are starting what they must be able to serve."""
        self._roll.write_bytes(msgspec.json.encode(roll))

    def end(self) -> None:
        """The roll is over: replicas start whatever they can serve."""
        self._roll.unlink(missing_ok=True)

    def roll(self) -> Roll | None:
        """The deploy that is under way."""
        try:
            return msgspec.json.decode(self._roll.read_bytes(), type=Roll)
        except (OSError, msgspec.DecodeError):
            return None

    def _write(self, deploys: list[Deploy]) -> None:
        """Write the history, and drop the copies of code that nothing in it names."""
        written = self._file.with_suffix(".new")
        written.write_bytes(msgspec.json.format(msgspec.json.encode(deploys), indent=1))
        written.replace(self._file)
        named = {Path(deploy.code.folder).parent for deploy in deploys}
        for folder in self.place.iterdir():
            if folder.is_dir() and folder not in named and folder.stat().st_mtime < time.time() - FRESH_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)


def _content(deploy: Deploy) -> tuple[str, str]:
    return deploy.code.digest, deploy.config
