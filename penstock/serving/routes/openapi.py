"""The OpenAPI 3.1 document, made from the very Structs that decode and encode, with the contracts' examples."""

from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from penstock.client import Prediction
from penstock.contract.contract import Contract
from penstock.journal.explaining import Contributions
from penstock.journal.reading import JournalEntry
from penstock.serving.answering.faults import MOST_REQUESTS
from penstock.serving.http.exchange import LARGEST_BODY
from penstock.serving.http.problems import ProblemDocument
from penstock.serving.routes.describing import ModelState, Readiness
from penstock.serving.routes.field_schema import complete, most_requests

TEMPLATE = "#/components/schemas/{name}"
EXPLAIN = {
    "type": "boolean",
    "default": False,
    "description": "Whether the answer says what each feature contributed; at most 100 requests of an array.",
}
RETIRED = {"deprecated": True, "description": "Was a field once; what is sent is ignored."}
TITLES = {
    400: "The body is no JSON",
    401: "No API key",
    403: "The API key lacks the scope",
    404: "No such thing",
    405: "No such method",
}
TITLES |= {408: "The body did not come to its end", 413: "The body is over 8 MiB", 415: "Not JSON"}
TITLES |= {422: "A field cannot be accepted", 429: "The API key asks too often", 500: "The service failed"}
TITLES |= {503: "Postgres is away, or nothing is released yet; come again after Retry-After"}


def openapi(contracts: Sequence[Contract], explaining: Collection[str] = ()) -> bytes:
    """The document for these contracts, as JSON. `explaining`: the models whose release explains predictions."""
    requests = [contract.request for contract in contracts]
    structs = [*requests, Prediction, ProblemDocument, ModelState, Readiness, Contributions]
    references, schemas = msgspec.json.schema_components(structs, ref_template=TEMPLATE)
    names = [reference["$ref"].removeprefix(TEMPLATE.format(name="")) for reference in references]
    schemas["JournalEntry"] = {
        "type": "object",
        "properties": {name: {} for name in JournalEntry.__struct_fields__},
        "required": list(JournalEntry.__struct_fields__),
    }
    paths: dict[str, Any] = {
        "/models": {"get": _read("List the models that are served", "models", _list_of("ModelState"))},
        "/healthz": {"get": _read("Whether the process lives", "health", {"type": "object"})},
        "/readyz": {"get": _read("Whether predictions can be answered now", "ready", _ref("Readiness"), busy=True)},
    }
    for contract, name in zip(contracts, names, strict=False):  # two models may have requests of one name
        complete(schemas[name], contract)
        most = most_requests(schemas[name], LARGEST_BODY, MOST_REQUESTS)
        for field in contract.retired:
            schemas[name]["properties"].setdefault(field, RETIRED)
        if contract.model in explaining:
            schemas[name]["properties"].setdefault("explain", EXPLAIN)
        paths |= _paths(contract, name, most)
    document = {
        "openapi": "3.1.0",
        "info": {"title": "Penstock predictions", "version": "1", "description": "Predictions with looked-up data."},
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-API-Key"}},
        },
    }
    return msgspec.json.encode(document)


def example(contract: Contract) -> dict[str, Any]:
    """A request made of the examples in the contract's fields.

    A field without one is left out where it may be, and has else a value that its type and bounds allow.
    """
    schema = msgspec.json.schema(contract.request)["$defs"][contract.request.__name__]
    required = schema.get("required", ())
    found: dict[str, Any] = {}
    for name, field in schema["properties"].items():
        options = [field, *field.get("anyOf", ())]
        given = next((option["examples"][0] for option in options if option.get("examples")), None)
        if given is None and name in required:
            given = _placeholder(name, field)
        if given is not None:
            found[name] = given
    return found


def _placeholder(name: str, field: dict[str, Any]) -> Any:
    """A value of a field's type and bounds; None for a text of a pattern, and for other types."""
    if "enum" in field:
        return field["enum"][0]
    kind = field.get("type")
    if kind in ("integer", "number"):
        above = field["exclusiveMinimum"] + 1 if "exclusiveMinimum" in field else field.get("minimum", 0)
        return min(above, field.get("maximum", above))
    if kind == "string" and "pattern" not in field:
        times = {"date": "2026-01-01", "date-time": "2026-01-01T12:00:00Z"}
        text = name.ljust(field.get("minLength", 0), "-")[: field.get("maxLength")]
        return times.get(field.get("format", ""), text)
    return False if kind == "boolean" else None


def _paths(contract: Contract, name: str, most: int) -> dict[str, Any]:
    """The paths of one model, whose request is the component `name`; `most` of them fit into any array."""
    model = contract.model
    many = {"type": "array", "items": _ref(name), "minItems": 1, "maxItems": most}
    many |= {"description": f"At most {LARGEST_BODY} bytes in all; so many fit always, and {MOST_REQUESTS} may."}
    answers = {"oneOf": [_ref("Prediction"), _list_of("Prediction")]}
    one = example(contract)
    parameter = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
    return {
        f"/models/{model}": {"get": _read(contract.purpose, f"describe_{model}", {"type": "object"}, busy=True)},
        f"/models/{model}/card": {
            "get": _read(
                "The card of the release that is served",
                f"card_{model}",
                {"type": "string"},
                busy=True,
                kind="text/html",
            )
        },
        f"/models/{model}/predict": {
            "post": {
                "operationId": f"predict_{model}",
                "summary": contract.purpose,
                "tags": [model],
                "requestBody": {
                    "required": True,
                    "content": {
                        "application/json": {
                            "schema": {"oneOf": [_ref(name), many]},
                            "examples": {"one": {"value": one}, "many": {"value": [one, one]}},
                        }
                    },
                },
                "responses": {"200": _json("The answer, or the answers in the order of the requests", answers)}
                | _problems(400, 401, 403, 408, 413, 415, 422, 429, 500, 503),
            }
        },
        f"/models/{model}/predictions": {
            "get": _read("The newest journaled predictions", f"recent_{model}", _list_of("JournalEntry"), busy=True)
        },
        f"/models/{model}/predictions/{{id}}": {
            "get": _read("One journaled prediction", f"journaled_{model}", _ref("JournalEntry"), busy=True)
            | {"parameters": [parameter]}
        },
        f"/models/{model}/predictions/{{id}}/contributions": {
            "get": _read(
                "What each feature contributed to a journaled prediction",
                f"contributions_{model}",
                _ref("Contributions"),
                busy=True,
            )
            | {"parameters": [parameter]}
        },
    }


def _read(
    summary: str, operation: str, schema: dict[str, Any], *, busy: bool = False, kind: str = "application/json"
) -> dict[str, Any]:
    responses = {"200": _body("Found", schema, kind)} | _problems(401, 403, 404, 429, *([503] if busy else []))
    if operation == "ready":
        responses["503"] = _json("Not now", schema)
    return {"operationId": operation, "summary": summary, "responses": responses}


def _problems(*statuses: int) -> dict[str, Any]:
    content = {"application/problem+json": {"schema": _ref("ProblemDocument")}}
    return {str(status): {"description": TITLES[status], "content": content} for status in statuses}


def _json(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return _body(description, schema, "application/json")


def _body(description: str, schema: dict[str, Any], kind: str) -> dict[str, Any]:
    return {"description": description, "content": {kind: {"schema": schema}}}


def _list_of(name: str) -> dict[str, Any]:
    return {"type": "array", "items": _ref(name)}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": TEMPLATE.format(name=name)}
