"""The Open Inference Protocol v2 over REST: a contract's request fields are its input tensors, one row a request.

Tensors know no null: in fields that may be null, a JSON null, a NaN or an empty text stands for it.
"""

import math
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from penstock.client import Prediction
from penstock.contract.contract import Contract
from penstock.contract.request_types import plain_types
from penstock.serving.answering.faults import MOST_REQUESTS
from penstock.serving.http.exchange import JSON, HttpRequest, HttpResponse
from penstock.serving.http.problems import MOST_FAULTS, SAID, Fault, Problem, invalid, no_json, refused, unavailable
from penstock.serving.models.absent import AbsentModels
from penstock.serving.models.served_model import ServedModel
from penstock.serving.models.watcher import Watcher
from penstock.serving.routes.describing import readiness
from penstock.serving.routes.telemetry import ModelCounts
from penstock.serving.routes.tensors import ACCEPTED, Tensor, bad, read, written

PREFIX = "/v2"
BINARY = b"application/octet-stream"
HEADER_LENGTH = b"inference-header-content-length"
DATA_TYPES = (
    (msgspec.inspect.BoolType, "BOOL"),
    (msgspec.inspect.IntType, "INT64"),
    (msgspec.inspect.FloatType, "FP64"),
)


class OutputRequest(msgspec.Struct):
    """An output that the client wants."""

    name: str
    parameters: dict[str, Any] | None = None


class InferenceRequest(msgspec.Struct):
    """The JSON part of an inference request. A null is as good as nothing."""

    inputs: list[Tensor]
    id: str | None = None
    outputs: list[OutputRequest] | None = None
    parameters: dict[str, Any] | None = None


class Field(msgspec.Struct, frozen=True):
    """A request field as a tensor: its data type, and whether it may be null."""

    datatype: str
    optional: bool


class OpenInference:
    """The handlers of the protocol's routes, over all models."""

    def __init__(
        self,
        models: Mapping[str, ServedModel],
        absent: AbsentModels,
        counts: Mapping[str, ModelCounts],
        watcher: Watcher,
    ) -> None:
        self._models = models
        self._absent = absent
        self._counts = counts
        self._watcher = watcher
        self._fields = {name: fields_of(model.contract) for name, model in models.items()}

    def routes(self) -> list[tuple[str, str, Callable[..., Awaitable[HttpResponse]]]]:
        """Pattern, method and handler of each route."""
        model = r"/v2/models/([^/]+)(?:/versions/([^/]+))?"
        return [
            (r"/v2/?", "GET", self._server),
            (r"/v2/health/live", "GET", self._live),
            (r"/v2/health/ready", "GET", self._all_ready),
            (model, "GET", self._metadata),
            (f"{model}/ready", "GET", self._model_ready),
            (f"{model}/infer", "POST", self._infer),
        ]

    async def _server(self, _: HttpRequest) -> HttpResponse:
        return _json({"name": "penstock", "version": "1", "extensions": ["binary_tensor_data"]})

    async def _live(self, _: HttpRequest) -> HttpResponse:
        return _json({"live": True})

    async def _all_ready(self, _: HttpRequest) -> HttpResponse:
        if not readiness(self._models, self._absent, self._watcher).ready:
            raise unavailable("not-ready", "No model can be answered now; /readyz says why.")
        return _json({"ready": True})

    async def _metadata(self, _: HttpRequest, name: str, version: str | None) -> HttpResponse:
        model = self._model(name, version)
        return _json(
            {
                "name": name,
                "versions": [str(model.release.number)] if model.release else [],
                "platform": "penstock",
                "inputs": [
                    {"name": field, "datatype": made.datatype, "shape": [-1]}
                    for field, made in self._fields[name].items()
                ],
                "outputs": [
                    {"name": output, "datatype": datatype, "shape": [-1, width] if width else [-1]}
                    | _columns_of(model.contract, output)
                    for output, datatype, width in outputs_of(model.contract)
                ],
            }
        )

    async def _model_ready(self, _: HttpRequest, name: str, version: str | None) -> HttpResponse:
        model = self._model(name, version)
        if not model.ready:
            raise unavailable("not-ready", f"Model {name!r}: {model.trouble}.")
        return _json({"name": name, "ready": True})

    async def _infer(self, request: HttpRequest, name: str, version: str | None) -> HttpResponse:
        model = self._model(name, version)
        body = await request.json_body(also=BINARY)
        document, rest = _split(body, request.headers.get(HEADER_LENGTH))
        try:
            inference = msgspec.json.decode(document, type=InferenceRequest)
        except msgspec.ValidationError as error:
            raise invalid(document, error) from None
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise no_json(error) from None
        if (inference.parameters or {}).get("explain") not in (None, False):
            expected = f"none, as only POST /models/{name}/predict answers contributions"
            raise refused(Fault("parameters.explain", expected, "it"))
        posted = self._requests(model, inference, rest)
        answers = await self._predict(model, posted, request.id)
        return _response(model.contract, inference, [_decode(answer) for answer in answers])

    async def _predict(self, model: ServedModel, posted: list[Any], request_id: str) -> list[bytes]:
        """The answers to decoded requests, as JSON."""
        began, counts = time.perf_counter(), self._counts[model.contract.model]
        with counts.counting_refusals():
            answers = await model.answers(model.decode.requests(posted, request_id, is_array=True), is_array=True)
        counts.answered(began, answers)
        return answers

    def _requests(self, model: ServedModel, inference: InferenceRequest, rest: memoryview) -> list[Any]:
        """The decoded requests, one per row of the tensors; Problem with all that is wrong with these."""
        columns = self._columns(model.contract, inference, rest)
        sizes = {name: len(values) for name, values in columns.items()}
        if len(set(sizes.values())) != 1 or not 1 <= next(iter(sizes.values())) <= MOST_REQUESTS:
            raise bad("inputs", f"the same number of rows in each, 1 to {MOST_REQUESTS}", str(sizes))
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        try:
            return msgspec.convert(rows, list[model.contract.request])  # type: ignore[name-defined] # run-time type
        except msgspec.ValidationError as error:
            raise model.decode.problem(msgspec.json.encode(rows), error, is_array=True) from None
        except OverflowError as error:
            raise bad("inputs", "numbers of 64 bits", str(error)) from None

    def _columns(self, contract: Contract, inference: InferenceRequest, rest: memoryview) -> dict[str, list[Any]]:
        """The tensors' values by field; Problem that names every tensor that is none of the request's fields."""
        fields = self._fields[contract.model]
        columns: dict[str, list[Any]] = {}
        problems: list[Problem] = []
        for tensor in inference.inputs:
            field = fields.get(tensor.name)
            is_retired = tensor.name in contract.retired
            if (field is None and not is_retired) or tensor.name in columns:
                problems.append(bad(tensor.name, f"each of {', '.join(fields)} at most once", "it"))
            elif field is not None and tensor.datatype not in ACCEPTED[field.datatype]:
                problems.append(bad(tensor.name, f"data type {field.datatype}", repr(tensor.datatype[:80])))
            try:
                values, rest = read(tensor, rest)
            except Problem as problem:  # where the next tensor's data begin is not known
                problems.append(problem)
                break
            if is_retired:
                continue
            optional = field is not None and field.optional
            columns[tensor.name] = [None if optional and (v == "" or v != v) else v for v in values]  # noqa: PLR0124
        if problems:
            raise Problem(400, "invalid-tensor", "; ".join(dict.fromkeys(one.detail for one in problems[:SAID])))
        faults = [
            Fault(f"$[{row}].{name}", "a finite number", str(value))
            for name, values in columns.items()
            for row, value in enumerate(values)
            if isinstance(value, float) and not math.isfinite(value)
        ]
        if faults:
            raise refused(*faults[: MOST_FAULTS + 1])
        return columns

    def _model(self, name: str, version: str | None) -> ServedModel:
        model = self._models.get(name)
        if model is None:
            raise self._absent.problem(name)
        current = str(model.release.number) if model.release else "none"
        if version not in (None, current):
            raise Problem(404, "no-such-version", f"version: expected {current}, found {version[:80]!r}")
        return model


def failed(problem: Problem) -> HttpResponse:
    """A problem in the protocol's own form."""
    error = "; ".join(map(str, problem.faults)) or problem.detail
    return HttpResponse(msgspec.json.encode({"error": error}), status=problem.status, headers=problem.headers)


def fields_of(contract: Contract) -> dict[str, Field]:
    """The request fields as tensors."""
    made: dict[str, Field] = {}
    for field in msgspec.structs.fields(contract.request):
        members = plain_types(field.type)
        kinds = [member for member in members if not isinstance(member, msgspec.inspect.NoneType)]
        datatype = next((name for kind, name in DATA_TYPES if isinstance(kinds[0], kind)), "BYTES")
        made[field.name] = Field(datatype, len(kinds) < len(members))
    return made


def outputs_of(contract: Contract) -> list[tuple[str, str, int]]:
    """Name, data type and width of the output tensors; width 0 is one value a row."""
    output = contract.output
    classifier, classes = output.kind == "classifier", len(output.classes)
    made = [("prediction", "BYTES" if classifier else "FP64", len(output.values))]
    if classifier:
        scores, probabilities = (
            ("scores", "FP64", classes if classes > 2 else 1),
            ("probabilities", "FP64", classes or -1),
        )
        made.append(scores if output.scores else probabilities)
    return [*made, ("id", "BYTES", 0), ("release", "INT64", 0), ("unchanged", "BOOL", 0), ("missing", "BYTES", 0)]


def _columns_of(contract: Contract, output: str) -> dict[str, Any]:
    """The names of the columns of an output tensor of several values."""
    names = [value.name for value in contract.output.values] if output == "prediction" else []
    return {"parameters": {"columns": names}} if names else {}


def _response(contract: Contract, inference: InferenceRequest, answers: list[Prediction]) -> HttpResponse:
    known = {name: datatype for name, datatype, _ in outputs_of(contract)}
    default = (inference.parameters or {}).get("binary_data_output") is True
    wanted = inference.outputs or [OutputRequest(name) for name in known]
    if len({output.name for output in wanted}) < len(wanted):
        raise bad("outputs", "each at most once", "repetitions")
    tensors, parts = [], []
    for output in wanted:
        if output.name not in known:
            raise bad(output.name, f"one of the outputs {', '.join(known)}", "it")
        binary = (output.parameters or {}).get("binary_data", default) is True
        values, width = _values(output.name, answers)
        tensor, part = written(output.name, known[output.name], values, width=width, binary=binary)
        tensors.append(tensor)
        parts.append(part)
    head = {"model_name": contract.model, "model_version": str(answers[-1].release), "outputs": tensors}
    document = msgspec.json.encode(({"id": inference.id} if inference.id else {}) | head)
    if not any(tensor.parameters for tensor in tensors):
        return HttpResponse(document)
    return HttpResponse(
        b"".join([document, *parts]), kind=BINARY, headers=((HEADER_LENGTH, str(len(document)).encode()),)
    )


def _values(name: str, answers: list[Prediction]) -> tuple[list[Any], int]:
    """One output's values, row by row, and its width."""
    if name == "missing":
        return [",".join(answer.missing) for answer in answers], 0
    first = getattr(answers[0], name)
    if isinstance(first, dict):  # the probabilities or scores of classes, the values of several outputs
        return [number for answer in answers for number in getattr(answer, name).values()], len(first)
    return [getattr(answer, name) for answer in answers], 0


def _split(body: bytes, length: bytes | None) -> tuple[bytes, memoryview]:
    """The JSON document of a body, and the binary part behind it."""
    if length is None:
        return body, memoryview(b"")
    if not length.isdigit() or not 0 < int(length[:12]) <= len(body):
        found = length[:80].decode("latin-1")
        raise Problem(400, "invalid-header", f"{HEADER_LENGTH.decode()}: expected 1 to {len(body)}, found {found!r}")
    return body[: int(length)], memoryview(body)[int(length) :]


def _json(document: Any) -> HttpResponse:
    return HttpResponse(msgspec.json.encode(document), kind=JSON)


_decode = msgspec.json.Decoder(Prediction).decode
