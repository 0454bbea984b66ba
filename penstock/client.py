"""The client of the prediction service: typed answers, timeouts, and retries of what may be asked twice."""

import http.client
import random
import threading
import time
from collections.abc import Iterable
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import msgspec

from penstock.errors import PenstockError
from penstock.request_body import encoded

AGAIN = frozenset({429, 502, 503, 504})
FIRST_WAIT = 0.05
LONGEST_WAIT = 2.0
SHOWN = 200  # bytes of an answer that is no problem document

Answer = TypeVar("Answer")


class ValueExplanation(msgspec.Struct, frozen=True):
    """What each feature contributed to one of several values; with `base_value` it adds up to `raw_score`."""

    contributions: dict[str, float | None]
    base_value: float | None
    raw_score: float | None


class Prediction(msgspec.Struct, frozen=True):
    """One answer. `missing` names lookups that found no row; `unchanged` says that it is a stored answer.

    The prediction of a regressor with several outputs has the value of each name. A classifier answers
    `probabilities`, or `scores` where it has none: the decision score of each class, of two that of the second.

    A model that says how sure it is adds the `interval` around a value, or the `prediction_set` of classes. The set is
    empty where no class is as likely as the level demands: the model cannot tell, and `prediction` is a guess.

    With `explain` the answer of a model that explains has what each feature contributed: `base_value` and the sum of
    `contributions` is `raw_score`, that of the class `explained`, or of the output of a regressor. `contributions` is
    null where an earlier release has given the answer and cannot say. `explained_by`: exact or interventional. Of
    several values these are of the first, and `others` has those of the others.

    `book` is `dev` where the lookups were made in the warehouse and nothing was journaled; `release` is 0 then, because
    the newest candidate has answered, and `artifact` its digest.
    """

    id: str
    prediction: str | float | dict[str, float | None] | None
    release: int
    snapshots: dict[str, str]
    missing: tuple[str, ...]
    unchanged: bool
    probabilities: dict[str, float] | msgspec.UnsetType = msgspec.UNSET
    interval: tuple[float | None, float | None] | msgspec.UnsetType = msgspec.UNSET
    prediction_set: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    scores: dict[str, float | None] | msgspec.UnsetType = msgspec.UNSET
    contributions: dict[str, float | None] | msgspec.UnsetType | None = msgspec.UNSET
    base_value: float | msgspec.UnsetType | None = msgspec.UNSET
    raw_score: float | msgspec.UnsetType | None = msgspec.UNSET
    explained: str | msgspec.UnsetType = msgspec.UNSET
    explained_by: str | msgspec.UnsetType = msgspec.UNSET
    others: dict[str, ValueExplanation] | msgspec.UnsetType = msgspec.UNSET
    book: str | msgspec.UnsetType = msgspec.UNSET
    artifact: str | msgspec.UnsetType = msgspec.UNSET


class JournaledPrediction(msgspec.Struct, frozen=True):
    """What the journal keeps of one prediction: the request, the looked-up rows and the answer as they were."""

    id: str
    model: str
    asked_at: datetime
    answered_at: datetime
    request: dict[str, Any]
    looked_up: dict[str, dict[str, Any] | None]
    features: str
    answer: Prediction
    release: int
    artifact: str
    snapshots: dict[str, str]
    request_id: str


class ModelState(msgspec.Struct, frozen=True):
    """A model as the answering replica serves it: the release, None where it serves none, and the digest of its
    contract. `trouble` says why it is not ready."""

    model: str
    ready: bool
    trouble: str
    release: int | None
    contract: str


class ReleaseRefusal(msgspec.Struct, frozen=True):
    """The book's current release where it is not served: why, and the release that is served instead, if any."""

    release: int
    reason: str
    serves: int | None


class _Ready(msgspec.Struct, frozen=True):
    refused: dict[str, ReleaseRefusal] = {}


class _Description(msgspec.Struct, frozen=True):
    state: ModelState
    contract: msgspec.Raw = msgspec.Raw(b"{}")


class ServiceError(PenstockError):
    """The service refused, or did not answer in time. `status` is 0 where there was no answer at all.

    `document` is the service's problem document: its `faults` name the fields, its `request_id` finds the log line.
    """

    def __init__(self, thing: str, *, status: int, document: dict[str, Any], found: str) -> None:
        super().__init__(thing, expected="an answer", found=found)
        self.status = status
        self.document = document


class Client:
    """Asks one service about one model; may be used by several threads, each with a connection of its own.

    Predicting is safe to repeat, since an unchanged question gets its stored answer: so a lost connection and 429,
    502, 503 and 504 are tried again, with growing pauses, until `timeout` seconds have passed since the call. With
    `repeat=False` everything is asked once.
    """

    def __init__(self, url: str, model: str, *, key: str = "", timeout: float = 5.0, repeat: bool = True) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise PenstockError("url of the service", expected="http(s)://host[:port]", found=repr(url))
        self._kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._host, self._port = parts.hostname, parts.port
        self._base = parts.path.rstrip("/")
        self._route = f"{self._base}/models/{quote(model, safe='')}"
        self._headers = {"content-type": "application/json"} | ({"x-api-key": key} if key else {})
        self._timeout = timeout
        self._repeat = repeat
        self._own = threading.local()

    def predict(self, request: Any, *, explain: bool = False) -> Prediction:
        """The answer to one request; ServiceError if there is none.

        - `explain`: with what each feature contributed, of a model that is declared so.

        - The request is the contract's Struct, a dict of its fields, or its JSON as msgspec.Raw.
        - Its values may be scalars of numpy and pandas, and decimals. NaN, NaT and NA are null; an infinity is refused.
        """
        body = encoded(request)
        return self._ask(_ONE, "POST", "predict", _explained(body) if explain else body)

    def predict_many(self, requests: Iterable[Any]) -> list[Prediction]:
        """The answers to 1 to 10,000 requests, in their order."""
        return self._ask(_MANY, "POST", "predict", encoded(list(requests)))

    def prediction(self, id_: str) -> JournaledPrediction:
        """What was journaled of an answer, by its id."""
        return self._ask(_JOURNALED, "GET", f"predictions/{quote(id_, safe='')}")

    def state(self) -> ModelState:
        """What the service serves of the model."""
        return self._ask(_STATE, "GET", "").state

    def contract(self) -> bytes:
        """The contract of the running code of the model, as JSON: request schema, lookups, features, output."""
        return bytes(self._ask(_STATE, "GET", "").contract)

    def models(self) -> list[str]:
        """The names of the models that the service has."""
        return [state.model for state in _STATES.decode(self._call("GET", f"{self._base}/models"))]

    def refused(self) -> dict[str, ReleaseRefusal]:
        """The models whose current release the service does not serve, with why; needs no key."""
        try:
            _, answer, _ = self._exchange("GET", f"{self._base}/readyz", b"", self._timeout)
            return _READY.decode(answer).refused
        except (OSError, http.client.HTTPException, msgspec.DecodeError):
            return {}

    def ready(self) -> bool:
        """Whether the service can answer now; asked once."""
        return self._well("readyz")

    def alive(self) -> bool:
        """Whether the service runs, be there a model to ask or not; asked once."""
        return self._well("healthz")

    def close(self) -> None:
        """Hang up this thread's connection."""
        connection = getattr(self._own, "connection", None)
        if connection is not None:
            connection.close()
        self._own.connection = None

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _well(self, route: str) -> bool:
        try:
            status, _, _ = self._exchange("GET", f"{self._base}/{route}", b"", self._timeout)
        except (OSError, http.client.HTTPException):
            return False
        return status == 200

    def _ask(self, decoder: msgspec.json.Decoder[Answer], method: str, route: str, body: bytes = b"") -> Answer:
        path = f"{self._route}/{route}".rstrip("/")
        answer = self._call(method, path, body)
        try:
            return decoder.decode(answer)
        except (msgspec.DecodeError, ValueError) as error:
            found = f"an answer of another shape: {error}"
            raise ServiceError(f"{method} {path}", status=200, document={}, found=found) from None

    def _call(self, method: str, path: str, body: bytes = b"") -> bytes:
        end = time.monotonic() + self._timeout
        wait = FIRST_WAIT
        while True:
            left = end - time.monotonic()
            retry_after, refusal = 0.0, None
            try:
                status, answer, retry_after = self._exchange(method, path, body, max(left, 0.001))
                if status == 200:
                    return answer
                refusal = _refused(f"{method} {path}", status, answer)
            except (OSError, http.client.HTTPException) as error:
                status = 0
                refusal = ServiceError(f"{method} {path}", status=0, document={}, found=repr(error))
            pause = max(retry_after, wait * random.uniform(0.5, 1.0))  # noqa: S311  spreads clients, hides nothing
            wait = min(wait * 2, LONGEST_WAIT)
            if not self._repeat or (status and status not in AGAIN) or time.monotonic() + pause >= end:
                raise refusal
            time.sleep(pause)

    def _exchange(self, method: str, path: str, body: bytes, timeout: float) -> tuple[int, bytes, float]:
        """Status, body and the seconds of Retry-After of one exchange; the connection is kept only if it went well."""
        connection = getattr(self._own, "connection", None)
        if connection is None:
            connection = self._own.connection = self._kind(self._host, self._port, timeout=timeout)
        connection.timeout = timeout
        if connection.sock is not None:
            connection.sock.settimeout(timeout)
        try:
            connection.request(method, path, body or None, self._headers)
            response = connection.getresponse()
            answer = response.read()
        except BaseException:
            self.close()
            raise
        after = response.headers.get("retry-after", "")
        return response.status, answer, float(after) if after.isdecimal() else 0.0


def _explained(body: bytes) -> bytes:
    """A request that asks for an explanation too."""
    fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    return msgspec.json.encode(fields | {"explain": msgspec.Raw(b"true")})


def _refused(thing: str, status: int, answer: bytes) -> ServiceError:
    try:
        document = msgspec.json.decode(answer, type=dict[str, Any])
    except (msgspec.DecodeError, ValueError):
        document = {}
    detail = document.get("detail") or answer[:SHOWN].decode(errors="replace")
    return ServiceError(thing, status=status, document=document, found=f"{status} {detail}".strip())


_ONE = msgspec.json.Decoder(Prediction)
_MANY = msgspec.json.Decoder(list[Prediction])
_JOURNALED = msgspec.json.Decoder(JournaledPrediction)
_READY = msgspec.json.Decoder(_Ready)
_STATE = msgspec.json.Decoder(_Description)
_STATES = msgspec.json.Decoder(list[ModelState])
