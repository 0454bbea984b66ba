"""The Open Inference Protocol with a client that others wrote."""

from collections.abc import Iterator

import numpy as np
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from tests.engine.serving.conftest import Service, Start

ROUTE = "/v2/models/overflow/infer"


@pytest.fixture
def client(shared: Service) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(shared.http.base_url.netloc.decode()) as made:
        yield made


def tensors(count: int, *, binary: bool) -> list[triton.InferInput]:
    """`count` requests as tensors."""
    values = {
        "tank": ("BYTES", np.array([f"t{n}" for n in range(count)], dtype=object)),
        "valve": ("INT64", np.arange(count, dtype=np.int64)),
        "inflow": ("FP64", np.linspace(0, 90, count)),
        "note": ("BYTES", np.array(["" if n % 2 else "é" for n in range(count)], dtype=object)),
        "asked_at": ("BYTES", np.array(["2026-01-01T05:30:00Z"] * count, dtype=object)),
    }
    made = []
    for name, (datatype, array) in values.items():
        tensor = triton.InferInput(name, [count], datatype)
        tensor.set_data_from_numpy(array, binary_data=binary)
        made.append(tensor)
    return made


def test_health_and_metadata(client: triton.InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("overflow")
    assert client.is_model_ready("overflow", "1")
    assert client.get_server_metadata()["extensions"] == ["binary_tensor_data"]
    described = client.get_model_metadata("overflow")
    assert described["versions"] == ["1"]
    assert {tensor["name"]: tensor["datatype"] for tensor in described["inputs"]} == {
        "tank": "BYTES",
        "valve": "INT64",
        "inflow": "FP64",
        "note": "BYTES",
        "seen": "BYTES",
        "asked_at": "BYTES",
    }
    assert {"name": "probabilities", "datatype": "FP64", "shape": [-1, 2]} in described["outputs"]


@pytest.mark.parametrize("binary", [False, True])
def test_tensors_are_answered_as_json_requests_are(
    client: triton.InferenceServerClient, shared: Service, binary: bool
) -> None:
    result = client.infer("overflow", tensors(30, binary=binary), request_id="mine")
    texts = {True: bytes.decode, False: str}[result.get_output("id").get("parameters") is not None]
    requests = [
        {
            "tank": f"t{n}",
            "valve": n,
            "inflow": inflow,
            "note": None if n % 2 else "é",
            "asked_at": "2026-01-01T05:30:00Z",
        }
        for n, inflow in enumerate(np.linspace(0, 90, 30).tolist())
    ]
    expected = shared.http.post("/models/overflow/predict", json=requests).json()
    assert all(answer["unchanged"] for answer in expected), "the tensors asked the very same"
    assert [texts(id_) for id_ in result.as_numpy("id")] == [answer["id"] for answer in expected]
    assert [texts(p) for p in result.as_numpy("prediction")] == [answer["prediction"] for answer in expected]
    assert result.as_numpy("probabilities").tolist() == [list(answer["probabilities"].values()) for answer in expected]
    assert result.as_numpy("release").tolist() == [1] * 30
    assert texts(result.as_numpy("missing")[0]) == "level"
    assert result.get_response()["id"] == "mine"
    assert result.get_response()["model_version"] == "1"


def test_outputs_come_as_they_are_asked_for(client: triton.InferenceServerClient) -> None:
    wanted = [
        triton.InferRequestedOutput("probabilities", binary_data=True),
        triton.InferRequestedOutput("prediction", binary_data=False),
    ]
    result = client.infer("overflow", tensors(3, binary=True), outputs=wanted)
    assert [output["name"] for output in result.get_response()["outputs"]] == ["probabilities", "prediction"]
    assert result.as_numpy("probabilities").sum(axis=1).tolist() == pytest.approx([1, 1, 1])
    assert set(result.as_numpy("prediction")) <= {"holds", "overflows"}


def test_what_is_wrong_is_an_error_of_the_protocol(client: triton.InferenceServerClient) -> None:
    for name, version, status in (("other", "", "404"), ("overflow", "7", "404")):
        with pytest.raises(InferenceServerException) as caught:
            client.infer(name, tensors(1, binary=False), model_version=version)
        assert caught.value.status() == status
    with pytest.raises(
        InferenceServerException, match=r"\$\[0\]\.tank: expected text of .*, found nothing; \$\[1\]"
    ) as caught:
        client.infer("overflow", tensors(2, binary=False)[1:])
    assert caught.value.status() == "422"


@pytest.mark.parametrize(
    ("tensor", "words"),
    [
        ({"name": "valve", "datatype": "FP64", "shape": [1], "data": [1.5]}, "data type INT64"),
        ({"name": "valve", "datatype": "INT64", "shape": [2], "data": [1]}, "shape [1]"),
        (
            {"name": "valve", "datatype": "INT64", "shape": [1], "data": [100]},
            "$[0].valve: expected a whole number from 0 to 99",
        ),
        ({"name": "valve", "datatype": "INT64", "shape": [1], "data": [10**30]}, "$[0].valve"),
        ({"name": "valve", "datatype": "INT64", "shape": [1], "data": [[[1]]]}, "$[0].valve"),
        ({"name": "color", "datatype": "BYTES", "shape": [1], "data": ["red"]}, "tensor 'color'"),
        ({"name": "valve", "datatype": "INT64", "shape": [1]}, "data or binary_data_size"),
        (
            {"name": "valve", "datatype": "INT64", "shape": [1], "parameters": {"binary_data_size": 8}},
            "at most 0 bytes",
        ),
        ({"name": "valve", "datatype": "INT64", "shape": [0], "data": []}, "1 to 10000"),
        ({"name": "inflow", "datatype": "FP64", "shape": [1], "data": [10**400]}, "$[0].inflow"),
    ],
)
def test_a_bad_tensor_is_named(shared: Service, tensor: dict[str, object], words: str) -> None:
    inputs = [{"name": "tank", "datatype": "BYTES", "shape": [1], "data": ["t1"]}, tensor]
    answer = shared.http.post(ROUTE, json={"inputs": inputs})
    assert answer.status_code == (422 if words.startswith("$") else 400), answer.text
    assert list(answer.json()) == ["error"]
    assert words in answer.json()["error"]


def test_all_that_is_wrong_with_the_tensors_is_said_at_once(shared: Service) -> None:
    tank = {"name": "tank", "datatype": "BYTES", "shape": [2], "data": ["", "t1"]}
    valve = {"name": "valve", "datatype": "INT64", "shape": [2], "data": [3, 100]}
    answer = shared.http.post(ROUTE, json={"inputs": [tank, valve]})
    assert answer.status_code == 422
    assert "$[0].tank: " in answer.json()["error"]
    assert "$[1].valve: " in answer.json()["error"]
    strange = [valve | {"datatype": "FP64"}, tank | {"name": "color"}, tank | {"shape": [7]}]
    answer = shared.http.post(ROUTE, json={"inputs": strange})
    assert answer.status_code == 400
    assert all(f"tensor '{name}'" in answer.json()["error"] for name in ("tank", "valve", "color"))


def test_a_number_that_is_none_is_named_with_its_row(shared: Service) -> None:
    data = np.array([1.0, np.inf, np.nan])
    inputs = tensors(3, binary=True)
    inputs[2].set_data_from_numpy(data, binary_data=True)
    body, length = triton.InferenceServerClient.generate_request_body(inputs)
    answer = shared.http.post(
        ROUTE,
        content=body,
        headers={"content-type": "application/octet-stream", "inference-header-content-length": str(length)},
    )
    assert answer.status_code == 422
    assert answer.json()["error"].count("expected a finite number") == 2
    assert "$[1].inflow" in answer.json()["error"]


def test_nulls_are_as_good_as_nothing(shared: Service) -> None:
    inputs = [
        {"name": "tank", "datatype": "BYTES", "shape": [1], "data": ["t1"], "parameters": None},
        {"name": "valve", "datatype": "INT64", "shape": [1], "data": [3]},
    ]
    plain = shared.http.post(ROUTE, json={"inputs": inputs, "id": None, "parameters": None, "outputs": None})
    assert plain.status_code == 200, plain.text
    assert "id" not in plain.json()
    assert len(plain.json()["outputs"]) == 6
    outputs = [{"name": "prediction", "parameters": None}]
    assert shared.http.post(ROUTE, json={"inputs": inputs, "outputs": outputs}).status_code == 200


def test_damaged_binary_parts_are_refused(shared: Service) -> None:
    head = b'{"inputs":[{"name":"tank","datatype":"BYTES","shape":[1],"parameters":{"binary_data_size":6}}]}'
    for length, part, words in (
        (b"9999", b"\2\0\0\0t1", "inference-header-content-length"),
        (b"-1", b"\2\0\0\0t1", "inference-header-content-length"),
        (b"%d" % len(head), b"\2\0\0\0t", "at most 5 bytes"),
        (b"%d" % len(head), b"\xff\xff\xff\xfft1", "cut off"),
        (b"%d" % len(head), b"\2\0\0\0\xff\xff", "UTF-8"),
    ):
        answer = shared.http.post(
            ROUTE,
            content=head + part,
            headers={"content-type": "application/octet-stream", "inference-header-content-length": length.decode()},
        )
        assert answer.status_code == 400, answer.text
        assert words in answer.json()["error"]
    assert shared.http.get("/v2/nowhere").json()["error"]
    assert shared.http.get(ROUTE).status_code == 405


def test_a_model_without_a_release_is_not_ready(start: Start) -> None:
    service = start()
    for path in ("/v2/health/ready", "/v2/models/overflow/ready"):
        answer = service.http.get(path)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert service.http.get("/v2/health/live").status_code == 200
    assert service.http.get("/v2/models/overflow").json()["versions"] == []
