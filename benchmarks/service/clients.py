"""Clients that keep a service busy and remember every answer that they were given."""

import http.client
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any

import msgspec

from penstock.journal.reading import READ, journal_entry
from penstock.postgres.book import Book

Question = Callable[[int, int], bytes]
"""The body of a client's nth question; no two may be the same question."""

TIMEOUT_SECONDS = 30
PAUSE_SECONDS = 0.02
STORED = f"{READ} WHERE p.id = ANY(%s::uuid[])"


@dataclass
class Answers:
    """What all clients saw: the body by id, how often it was not an answer, and when the answers came. A refusal that
    is no problem document, or does not say when to come again, has a trouble's name of its own."""

    given: dict[str, bytes] = field(default_factory=dict)
    given_twice: int = 0
    troubles: Counter[str] = field(default_factory=Counter)
    moments: list[float] = field(default_factory=list)
    trouble_moments: list[float] = field(default_factory=list)
    slowest_refusal: float = 0.0
    slowest: float = 0.0

    def recovered_after(self, moment: float) -> float:
        """The seconds from a moment to the first answer after it, infinite where there is none."""
        return min((one for one in self.moments if one >= moment), default=float("inf")) - moment

    def longest_pause(self, since: float = 0.0) -> float:
        """The most seconds between two answers in a row, whoever got them."""
        moments = sorted(moment for moment in self.moments if moment >= since)
        return max((b - a for a, b in pairwise(moments)), default=0.0)


class Clients:
    """Threads that ask one question after the other, each over a connection of its own.

    A `patient` client asks the same question until it is answered, as backends do; else a question that is not
    answered at once counts as a trouble, and the next follows. With a `rate` they ask so often a second together,
    and not one right after the other. What is changed in `headers` goes with the next question.
    """

    def __init__(
        self,
        port: Callable[[], int],
        path: str,
        question: Question,
        *,
        count: int,
        patient: bool,
        rate: float | None = None,
        host: str = "127.0.0.1",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.answers = Answers()
        self._between = count / rate if rate else 0.0
        self._host, self.headers = host, {"content-type": "application/json"} | dict(headers or {})
        self._port, self._path, self._question, self._patient = port, path, question, patient
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(n,), daemon=True) for n in range(count)]

    def __enter__(self) -> "Clients":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def fresh(self) -> Answers:
        """What was seen until now; what comes is counted anew."""
        with self._lock:
            seen, self.answers = self.answers, Answers()
        return seen

    def _run(self, number: int) -> None:
        connection: http.client.HTTPConnection | None = None
        asked = 0
        due = time.monotonic() + self._between * number / len(self._threads)
        while not self._stop.wait(max(0.0, due - time.monotonic()) if self._between else 0.0):
            due = max(due + self._between, time.monotonic() - self._between)
            body = self._question(number, asked)
            asked += 1
            while not self._stop.is_set():
                connection, answered = self._ask(connection, body)
                if answered or not self._patient:
                    break
                time.sleep(PAUSE_SECONDS)
        if connection is not None:
            connection.close()

    def _ask(
        self, connection: http.client.HTTPConnection | None, body: bytes
    ) -> tuple[http.client.HTTPConnection | None, bool]:
        if connection is None:
            connection = http.client.HTTPConnection(self._host, self._port(), timeout=TIMEOUT_SECONDS)
        began = time.monotonic()
        try:
            connection.request("POST", self._path, body, self.headers)
            response = connection.getresponse()
            answer = response.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            self._trouble(type(error).__name__)
            time.sleep(PAUSE_SECONDS)
            return None, False
        if response.status != 200:
            self._trouble(_trouble(response, answer))
            with self._lock:
                self.answers.slowest_refusal = max(self.answers.slowest_refusal, time.monotonic() - began)
            return connection, False
        with self._lock:
            id_ = answer[7:43].decode()
            self.answers.given_twice += id_ in self.answers.given
            self.answers.given[id_] = answer
            self.answers.moments.append(time.monotonic())
            self.answers.slowest = max(self.answers.slowest, time.monotonic() - began)
        return connection, True

    def _trouble(self, name: str) -> None:
        with self._lock:
            self.answers.troubles[name] += 1
            self.answers.trouble_moments.append(time.monotonic())


def lost(book: Book, given: Mapping[str, bytes], *, since: datetime) -> dict[str, int]:
    """How many answers the journal has not, has otherwise than they were given, or has twice for one question."""
    ids = list(given)
    stored: dict[str, bytes] = {}
    with book.connect() as connection:
        for start in range(0, len(ids), 5000):
            found = connection.execute(STORED, (ids[start : start + 5000],)).fetchall()
            stored.update((entry.id, bytes(entry.answer)) for entry in map(journal_entry, found))
        doubled = connection.execute(
            "SELECT count(*) - count(DISTINCT (entity, asked_at, request)) FROM app.prediction"
            " WHERE id >= app.first_id(%s)",
            (since,),
        ).fetchone()
    assert doubled is not None
    return {
        "answers": len(ids),
        "lost": len(ids) - len(stored),
        "journaled otherwise": sum(_new(given[id_]) != answer for id_, answer in stored.items()),
        "duplicates": int(doubled[0]),
    }


def merge(parts: Iterable[Answers]) -> Answers:
    """What several counts saw together."""
    whole = Answers()
    for part in parts:
        whole.given_twice += part.given_twice + len(whole.given.keys() & part.given.keys())
        whole.given |= part.given
        whole.troubles += part.troubles
        whole.moments += part.moments
        whole.trouble_moments += part.trouble_moments
        whole.slowest_refusal = max(whole.slowest_refusal, part.slowest_refusal)
        whole.slowest = max(whole.slowest, part.slowest)
    return whole


def _trouble(response: http.client.HTTPResponse, answer: bytes) -> str:
    """A refusal in a few words."""
    status, again = response.status, "" if response.headers["retry-after"] else " without Retry-After"
    try:
        return f"{status} {msgspec.json.decode(answer, type=dict[str, Any])['type'].rpartition(':')[2]}{again}"
    except (msgspec.DecodeError, KeyError):
        return f"{status} {answer[:60].decode(errors='replace')}{again}"


def _new(answer: bytes) -> bytes:
    """An answer as it was given the first time."""
    return answer.removesuffix(b'"unchanged":true}') + b'"unchanged":false}' if answer.endswith(b"true}") else answer
