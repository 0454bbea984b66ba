"""A service of a real project: one file that is broken takes its model down and no other; no file is no model yet."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from penstock.postgres.book import Book
from penstock.processes import free_port
from tests.checkout import ROOT, python_path
from tests.engine.projects import write_project
from tests.engine.serving import toy

Serve = Callable[[dict[str, str]], httpx.Client]
SENTENCE = "model_tools/bad.py, line 3: NameError: name 'missing' is not defined"
FILES = {
    "model_tools/overflow.py": "from tests.engine.serving.toy import CONTRACT\n",
    "model_tools/bad.py": "import numpy\n\nmissing()\n",
}


@pytest.fixture
def serve(book: Book, tmp_path: Path) -> Iterator[Serve]:
    """A function that serves a project of some files under bare uvicorn, in a process of its own."""
    toy.publish_all(book)
    toy.release(book, str(tmp_path / "home" / "artifacts"), tmp_path)
    path = python_path(tmp_path, ROOT)
    running: list[tuple[subprocess.Popen[bytes], httpx.Client]] = []

    def begin(files: dict[str, str]) -> httpx.Client:
        root, port = write_project(tmp_path / "project", files), free_port()
        own = {"PENSTOCK_PROJECT": str(root), "PENSTOCK_HOME": str(tmp_path / "home"), "PENSTOCK_PROD_URL": book.url}
        command = [sys.executable, "-m", "penstock.serving.bare", "--port", str(port)]
        process = subprocess.Popen(command, cwd=tmp_path, env=os.environ | own | {"PYTHONPATH": path})
        client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10)
        running.append((process, client))
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                if client.get("/readyz").json()["book"]:
                    return client
            except httpx.TransportError:
                assert process.poll() is None
            time.sleep(0.1)
        raise TimeoutError("the service did not start")

    yield begin
    for process, client in running:
        client.close()
        process.terminate()
        process.wait(20)


@pytest.mark.slow
def test_a_broken_contract_file_takes_only_its_model_down_and_every_answer_says_why(serve: Serve) -> None:
    client = serve(FILES)

    answered = client.post(
        "/models/overflow/predict", json={"tank": "t7", "valve": 3, "asked_at": "2026-01-01T05:30:00Z"}
    )
    assert answered.status_code == 200, answered.text
    ready = client.get("/readyz")
    assert ready.status_code == 200
    assert ready.json()["models"] == {"overflow": "ready"}
    assert ready.json()["broken"] == {"bad": SENTENCE}
    for path in ("/models/bad/predict", "/v2/models/bad/infer"):
        refused = client.post(path, json={})
        assert refused.status_code == 503
        assert refused.headers["retry-after"]
        assert f"Model 'bad' is not served: {SENTENCE}" in refused.text
    unknown = client.post("/models/nothing/predict", json={})
    assert (unknown.status_code, unknown.json()["detail"]) == (404, "model: expected one of overflow, found 'nothing'")


@pytest.mark.slow
def test_where_every_contract_file_is_broken_the_service_lives_and_is_not_ready(serve: Serve) -> None:
    client = serve({"model_tools/bad.py": FILES["model_tools/bad.py"]})
    ready = client.get("/readyz")
    assert ready.status_code == 503
    assert ready.json()["broken"] == {"bad": SENTENCE}
    assert client.get("/healthz").status_code == 200


@pytest.mark.slow
def test_a_project_without_a_model_says_how_to_come_to_one(serve: Serve) -> None:
    client = serve({})

    refused = client.post("/models/anything/predict", json={})
    assert refused.status_code == 503
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["type"] == "urn:penstock:problem:no-model"
    assert "penstock init DIR --example NAME" in refused.json()["detail"]
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json()["todo"]) == (503, refused.json()["detail"])
    for path in ("/", "/docs", "/openapi.json", "/metrics", "/state", "/models", "/healthz"):
        assert client.get(path).status_code == 200, path
