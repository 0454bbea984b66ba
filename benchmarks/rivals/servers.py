"""MLflow's scoring server, BentoML and MLServer: each in a virtual environment of its own, predicting only."""

import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import psycopg

from benchmarks.service.targets import Target, child, postmaster
from model_tools.flight_delay import CONTRACT
from penstock.artifact import load as artifact
from penstock.contract.columns import request_columns
from penstock.contract.contract import Columns
from penstock.lookups.look_up import look_up_now
from penstock.processes import free_port
from penstock.releases.artifacts import ArtifactStore
from penstock.settings import Settings
from penstock.snapshots.store import SnapshotStore

VENVS = "PENSTOCK_BENCH_VENVS"
PACKAGES = {
    "mlflow": ("mlflow==3.17.2", "uvicorn", "fastapi"),
    "bentoml": ("bentoml==1.4.39",),
    "mlserver": ("mlserver==1.7.1", "mlserver-sklearn==1.7.1"),
}
SAME = ("scikit-learn", "numpy", "scipy", "joblib", "pandas")
TRAINING = "training.npz"
HERE = Path(__file__).parent


def venvs() -> Path:
    """Where the environments are kept from one run to the next."""
    return Path(os.environ.get(VENVS) or Path(tempfile.gettempdir()) / f"penstock-bench-{os.getuid()}").resolve()


def environment(name: str) -> Path:
    """The virtual environment of one server, made by pip if it is not there: the same scikit-learn and numpy."""
    folder = venvs() / name
    wanted = " ".join([*PACKAGES[name], *(f"{package}=={version(package)}" for package in SAME)])
    stamp = folder / "installed"
    if not stamp.exists() or stamp.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        done = subprocess.run([*pip, *wanted.split()], check=False, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"pip cannot install {name}: {done.stderr[-2000:]}")
        stamp.write_text(wanted)
    return folder


def prepare(settings: Settings, posted: list[dict[str, Any]], moment: str) -> None:
    """Write what the three need: the training rows as feature vectors, and the requests' own feature vectors."""
    from penstock.declare.discovery import declared
    from penstock.training.frame import training_rows

    model = declared().model(CONTRACT.model)
    with psycopg.connect(settings.prod_url) as connection:
        row = connection.execute(
            "SELECT artifact FROM app.current_release WHERE model = %s", (CONTRACT.model,)
        ).fetchone()
    assert row is not None
    metadata = artifact.load(ArtifactStore(settings.artifacts).fetch(row[0], settings.home / "cache")).metadata
    rows = training_rows(
        model, SnapshotStore(settings.snapshots).open(str(metadata["training_snapshot"])).batches().read_all()
    )
    vectors: dict[str, Any] = {
        name: values.astype(str) if values.dtype == object else values for name, values in rows.vectors.items()
    }
    np.savez(settings.home / TRAINING, __outcome__=rows.outcome, **vectors)
    (settings.home / "estimator.json").write_text(json.dumps(model.estimator().get_params()))
    requests = [msgspec.convert(one | {"asked_at": moment}, CONTRACT.request) for one in posted]
    looked, _ = look_up_now(settings.prod_url, CONTRACT, requests)
    records = _records(CONTRACT.vectors(request_columns(CONTRACT, requests) | looked.columns))
    for name, encode in BODIES.items():
        (settings.home / f"{name}.txt").write_text("".join(json.dumps(encode(record)) + "\n" for record in records))


def mlflow(settings: Settings) -> AbstractContextManager[list[Target]]:
    """`mlflow models serve`, one worker."""

    def command(bin_: Path, folder: Path, port: int) -> list[str]:
        place = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
        return [str(bin_ / "mlflow"), "models", "serve", "-m", str(folder), "--env-manager", "local", *place]

    return _serve(settings, "mlflow", "MLflow scoring server", command, "/ping", "/invocations", {})


def bentoml(settings: Settings) -> AbstractContextManager[list[Target]]:
    """`bentoml serve`, one worker."""

    def command(bin_: Path, _: Path, port: int) -> list[str]:
        place = ["--host", "127.0.0.1", "--port", str(port), "--working-dir", str(HERE)]
        return [str(bin_ / "bentoml"), "serve", "bento:FlightDelay", *place]

    silent = {"BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOME": str(settings.home / "bentoml-home")}
    return _serve(settings, "bentoml", "BentoML", command, "/readyz", "/predict", silent)


def mlserver(settings: Settings) -> AbstractContextManager[list[Target]]:
    """`mlserver start` that predicts in the process that listens, its fastest way for one model."""

    def command(bin_: Path, folder: Path, port: int) -> list[str]:
        ports = {"http_port": port, "grpc_port": free_port(), "metrics_port": free_port()}
        stated = {"host": "127.0.0.1", "parallel_workers": 0, "debug": False, **ports}
        (folder / "settings.json").write_text(json.dumps(stated))
        declared = {"name": CONTRACT.model, "implementation": "mlserver_sklearn.SKLearnModel"}
        declared["parameters"] = {"uri": "./model.joblib"}  # type: ignore[assignment]
        (folder / "model-settings.json").write_text(json.dumps(declared))
        return [str(bin_ / "mlserver"), "start", str(folder)]

    infer = f"/v2/models/{CONTRACT.model}/infer"
    return _serve(settings, "mlserver", "MLServer", command, "/v2/health/ready", infer, {})


Command = Callable[[Path, Path, int], list[str]]


@contextmanager
def _serve(
    settings: Settings, name: str, title: str, command: Command, ready: str, route: str, variables: Mapping[str, str]
) -> Iterator[list[Target]]:
    """Fit and save the model inside the server's environment, and serve it."""
    bin_ = environment(name) / "bin"
    folder = settings.home / name
    folder.mkdir(exist_ok=True)
    fit = [str(bin_ / "python"), str(HERE / "mlflow_model.py"), name, str(settings.home), str(folder)]
    made = subprocess.run(fit, check=False, capture_output=True, text=True)
    if made.returncode:
        raise RuntimeError(f"{title} cannot save its model: {made.stderr[-2000:]}")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    path = {"PATH": f"{bin_}:{os.environ.get('PATH', '')}", "MODEL_FOLDER": str(folder), **variables}
    with child(settings, title, command(bin_, folder, port), folder, path, url + ready) as processes:
        bodies = settings.home / f"{name}.txt"
        yield [Target(title, url + route, bodies, processes, processes, postmaster(settings))]


def _records(vectors: Columns) -> list[dict[str, Any]]:
    """Feature vectors, row by row; what is missing is null."""
    lists = {name: [None if _is_nan(value) else value for value in values.tolist()] for name, values in vectors.items()}
    return [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _tensors(record: dict[str, Any]) -> dict[str, Any]:
    texts = {feature.name for feature in CONTRACT.features if feature.kind == "text"}
    inputs = [
        {"name": name, "shape": [1], "datatype": "BYTES", "data": [value], "parameters": {"content_type": "str"}}
        if name in texts
        else {"name": name, "shape": [1], "datatype": "FP64", "data": [value]}
        for name, value in record.items()
    ]
    return {"parameters": {"content_type": "pd"}, "inputs": inputs, "outputs": [{"name": "predict_proba"}]}


BODIES: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "mlflow": lambda record: {"dataframe_records": [record]},
    "bentoml": lambda record: {"rows": [record]},
    "mlserver": _tensors,
}
