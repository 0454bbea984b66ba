"""Both images as an operator's runtime would run them: uid 10001 without a name, read-only root, logs on stdout."""

import json
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg
import pytest

from penstock.processes import free_port
from penstock.testing import Story, wait_for
from tests.checkout import ROOT
from tests.engine.postgres.tcp_server import TcpServer
from tests.engine.scaffold.conftest import CleanRoom
from tests.engine.test_wheel import built
from tests.images.container import UID, Image, buildah, image, why_not

SERVICE, PIPELINE = "penstock-service", "penstock-pipeline"
MODEL = "flight_delay"
SEED = """
from penstock.runtime import Runtime
from resources.example import ensure
runtime = Runtime.load()
ensure(runtime.settings)
for preparation in runtime.declared.preparations.values():
    runtime.warehouse.prepare(preparation.script)
"""
"""What `penstock up` and a run of Dagster do before the first publish."""
SECONDS = 120
UNPACKED, COMPRESSED, CODE = 380e6, 130e6, 5e6
pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(why := why_not()), reason=why)]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that other accounts can enter."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="ps-") as made:
        Path(made).chmod(0o755)
        yield Path(made)


@pytest.fixture(scope="module")
def books(folder: Path) -> Iterator[dict[str, str]]:
    """Empty databases of a server on a TCP port, with passwords, as variables of Penstock."""
    server = TcpServer(folder / "server")
    server.create()
    server.start()
    try:
        names = ("test", "prod")
        for name in names:
            with psycopg.connect(server.url(), autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {name}".encode())
        yield {f"PENSTOCK_{name.upper()}_URL": server.url(database=name) for name in names}
    finally:
        server.remove()


@pytest.fixture(scope="module")
def home(folder: Path) -> Path:
    """PENSTOCK_HOME of both containers: the one folder beside /tmp that they may write to."""
    made = folder / "home"
    made.mkdir()
    os.chown(made, UID, UID)
    return made


@pytest.fixture(scope="module")
def service() -> Iterator[Image]:
    with image(SERVICE) as found:
        yield found


@pytest.fixture(scope="module")
def pipeline() -> Iterator[Image]:
    with image(PIPELINE) as found:
        yield found


def size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())


def compressed(*folders: Path) -> int:
    """Bytes as a registry keeps them."""
    packed = subprocess.run(
        ["sh", "-c", 'tar -c "$@" 2>/dev/null | gzip | wc -c', "sh", *folders], capture_output=True, check=True
    )
    return int(packed.stdout)


def packages(found: Image) -> set[str]:
    bill = json.loads((found.root / "opt/penstock/sbom.cdx.json").read_text())
    assert bill["bomFormat"] == "CycloneDX"
    return {component["name"].lower() for component in bill["components"]}


class TestFromImagesToAPrediction(Story):
    def test_the_images_hold_what_each_needs_and_list_it(self, service: Image, pipeline: Image) -> None:
        assert size(service.root) < UNPACKED
        assert compressed(service.root) < COMPRESSED
        assert size(service.root / "opt/engine") + size(service.root / "app") < CODE
        assert {"ray", "numpy", "asyncpg"} <= packages(service) < packages(pipeline) | {"virtualenv"}
        assert not packages(service) & {"pandas", "pyarrow", "scikit-learn", "dagster", "virtualenv"}
        assert {"pandas", "pyarrow", "scikit-learn", "dagster"} <= packages(pipeline)

    def test_the_service_offers_the_commands_whose_packages_it_has(
        self, service: Image, pipeline: Image, home: Path
    ) -> None:
        shown = [found.run(home, ["penstock", "--help"]) for found in (service, pipeline)]
        assert [one.returncode for one in shown] == [0, 0], shown
        offered = [set(re.findall(r"^  ([a-z]+) ", one.stdout, re.M)) for one in shown]
        lacking = {"advise", "backup", "down", "init", "new", "publish", "requests", "restore", "train", "up"}
        assert offered[1] - offered[0] == lacking
        assert {"serve", "status", "doctor", "render", "predict"} < offered[0]

    def test_both_run_as_nobody_in_particular_on_a_read_only_root(
        self, service: Image, pipeline: Image, home: Path
    ) -> None:
        for found in (service, pipeline):
            assert found.config["User"] == f"{UID}:{UID}"
            text = found.run(home, ["sh", "-c", "id -u; whoami; touch /app/x /opt/x; touch /tmp/x ~/x && echo written"])
            assert text.stdout.split() == [str(UID), "written"]
            assert len(re.findall("Read-only file system", text.stderr)) == 2
            assert f"{UID}" not in (found.root / "etc/passwd").read_text()
            version = found.run(home, ["sh", "-c", "echo $PENSTOCK_CODE_VERSION"]).stdout.strip()
            assert version in " ".join(found.config["Env"])
            assert version

    def test_the_pipeline_fills_the_books(self, pipeline: Image, home: Path, books: dict[str, str]) -> None:
        commands = ["python -c", SEED], ["penstock migrate"], ["penstock publish --all"], [f"penstock train {MODEL}"]
        for words, *more in commands:
            done = pipeline.run(home, [*words.split(), *more], books)
            assert done.returncode == 0, done.stdout + done.stderr

    def test_the_service_answers_and_logs_and_ends(
        self, service: Image, pipeline: Image, home: Path, books: dict[str, str], tmp_path: Path
    ) -> None:
        asked = pipeline.run(home, ["penstock", "requests", MODEL, "--count", "1"], books)
        assert asked.returncode == 0, asked.stderr
        with serving(service, home, books, tmp_path / "log", {MODEL: "ready"}) as client:
            answer = client.post(f"/models/{MODEL}/predict", content=asked.stdout)
        assert answer.status_code == 200, answer.text
        assert sum(answer.json()["probabilities"].values()) == pytest.approx(1)


@pytest.mark.timeout(3600)
def test_another_build_of_the_same_commit_is_the_same_image_to_the_bit() -> None:
    """Layers, configuration and history; nothing of it is taken from the first build."""
    subprocess.run(["make", "images", "TAG=:again", "BUILDER_AGAIN=--no-cache"], cwd=ROOT, check=True)
    for name in (SERVICE, PIPELINE):
        first, again = (
            buildah("inspect", "--type", "image", "--format", "{{.FromImageDigest}}", f"localhost/{tag}")
            for tag in (name, f"{name}:again")
        )
        assert first.startswith("sha256:")
        assert first == again, name


@pytest.mark.timeout(3600)
def test_the_images_of_a_project_of_ones_own_serve_it(folder: Path, home: Path, books: dict[str, str]) -> None:
    """Its folder is made by the wheel, and has no model yet."""
    room = CleanRoom(folder / "room", built(folder / "wheel"))
    assert room.run("penstock", "init", "shop").returncode == 0
    made = room.run("make", "images", "TAG=:shop", cwd=room.folder / "shop", MAKEFLAGS=os.environ.get("MAKEFLAGS", ""))
    assert made.returncode == 0, made.stdout + made.stderr
    with image(f"{PIPELINE}:shop") as pipeline:
        assert pipeline.run(home, ["penstock", "migrate"], books).returncode == 0
    with (
        image(f"{SERVICE}:shop") as service,
        serving(service, home, books, folder / "shop.log", {}) as client,
    ):
        answer = client.post("/models/basket/predict", json={})
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:penstock:problem:no-model")


@contextmanager
def serving(
    service: Image, home: Path, books: dict[str, str], log: Path, models: dict[str, str]
) -> Iterator[httpx.Client]:
    """The image's service with these models at last; it ends in good order."""
    port = free_port()
    with log.open("wb") as file:
        command = service.command(home, environment={**books, "PENSTOCK_HTTP_PORT": str(port)})
        running = subprocess.Popen(command, stdout=file, stderr=file)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            wait_for(lambda: running.poll() is not None or served(client) == models, SECONDS)
            assert running.poll() is None, log.read_text()[-3000:]
            yield client
        wait_for(lambda: f"Serving at http://127.0.0.1:{port}" in log.read_text(), SECONDS)
    finally:
        running.send_signal(signal.SIGTERM)
        running.wait(SECONDS)
    assert running.returncode == 0, log.read_text()[-3000:]
    assert log.read_text().rstrip().endswith("Stopped.")


def served(client: httpx.Client) -> dict[str, str] | None:
    """Each model and whether it is ready; None where nothing answers yet."""
    try:
        models: dict[str, str] = client.get("/readyz").json()["models"]
    except (httpx.HTTPError, KeyError, ValueError):
        return None
    return models
