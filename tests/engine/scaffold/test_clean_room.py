"""From a wheel to predictions in empty folders, with no file of the checkout read: two projects beside each other."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from penstock.processes import free_port
from tests.checkout import PROJECT, ROOT
from tests.engine.scaffold.conftest import CleanRoom

pytestmark = pytest.mark.usefixtures("stack")


class Started:
    """A project in the clean room, with ports of its own."""

    def __init__(self, room: CleanRoom, name: str, *options: str) -> None:
        self.room, self.root = room, room.folder / name
        self.ports = {"PENSTOCK_HTTP_PORT": str(free_port()), "PENSTOCK_DAGSTER_PORT": str(free_port())}
        assert room.run("penstock", "init", name, *options).returncode == 0

    def penstock(self, *command: str) -> str:
        """What a command in the project prints; it has to succeed."""
        done = self.room.run("penstock", *command, cwd=self.root, **self.ports)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def make(self, *targets: str) -> str:
        """What `make` prints there, in the clean room's environment instead of one that it would install."""
        shared = {"MYPY_CACHE_DIR": str(self.room.folder / "mypy")}
        command = ["make", f"VENV={self.room.bin.parent}", *targets]
        done = self.room.run(*command, cwd=self.root, **shared, **self.ports)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def asked(self, path: str, body: object = None) -> tuple[int, Any]:
        """Status and document of the service's answer."""
        data = None if body is None else json.dumps(body).encode()
        url = f"http://127.0.0.1:{self.ports['PENSTOCK_HTTP_PORT']}{path}"
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return response.status, json.loads(response.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())


@pytest.fixture(scope="module")
def shop(clean_room: CleanRoom) -> Iterator[Started]:
    """A project of the example that is up."""
    made = Started(clean_room, "shop", "--example", PROJECT.name)
    try:
        assert "answered" in made.penstock("up")
        yield made
    finally:
        made.penstock("down")


@pytest.fixture(scope="module")
def empty(clean_room: CleanRoom) -> Iterator[Started]:
    """A project without a model that is up, by `make` alone."""
    made = Started(clean_room, "empty folder")
    (clean_room.bin.parent / ".installed").touch()
    try:
        assert "No model yet" in made.make("up")
        yield made
    finally:
        made.make("down")


def test_nothing_of_the_checkout_is_importable_and_what_is_read_of_it_is_noticed(clean_room: CleanRoom) -> None:
    program = "import penstock; from importlib.util import find_spec as find;"
    program += "print(penstock.__file__, find('assets'), find('tests'))"
    shown = clean_room.run("python", "-c", program).stdout.split()
    assert shown[0].startswith(f"{clean_room.folder}/venv/")
    assert shown[1:] == ["None", "None"]
    assert clean_room.run("python", "-c", f"open({str(ROOT / 'README.md')!r})").returncode == 0
    assert clean_room.read_of_the_checkout() == {str(ROOT / "README.md")}
    clean_room.opened.unlink()


def test_the_example_is_answered_and_replayed_to_the_bit(shop: Started) -> None:
    name = next(iter(shop.asked("/readyz")[1]["models"]))
    request = json.loads(shop.penstock("requests", name, "--count", "1"))
    status, answer = shop.asked(f"/models/{name}/predict", request)
    assert (status, answer["release"]) == (200, 1)
    assert shop.penstock("replay", str(answer["id"])) == "1 replayed, 1 identical to the bit, 0 different.\n"
    (entry,) = json.loads(shop.penstock("releases", name, "--json"))
    assert entry["code_version"].startswith("penstock 0.")
    assert entry["code_version"].endswith(", shop no git")


def test_a_project_without_a_model_is_up_and_says_so_beside_another(empty: Started, shop: Started) -> None:
    status, refused = empty.asked("/models/anything/predict", {})
    assert (status, refused["type"]) == (503, "urn:penstock:problem:no-model")
    assert empty.asked("/readyz")[1]["todo"] == refused["detail"]
    assert shop.asked("/readyz") == (200, shop.asked("/readyz")[1])
    for project in (empty, shop):
        parts = json.loads(project.penstock("status", "--json"))["parts"]
        assert [part["health"].partition(",")[0] for part in parts] == ["healthy"] * 6
    assert "already running" in empty.make("up")


def test_the_two_commands_of_a_new_project_and_its_checks_pass(empty: Started) -> None:
    assert "make up" in empty.make("help")
    empty.make("check")
    assert "6 passed" in empty.make("test")


def test_the_example_passes_its_checks_too(shop: Started) -> None:
    shop.make("check")
    assert "passed" in shop.make("test", "TESTS=tests/test_project.py tests/test_graph.py")


def test_no_file_of_the_checkout_was_read(shop: Started, empty: Started, clean_room: CleanRoom) -> None:
    assert {path.name for path in clean_room.folder.iterdir()} >= {"shop", "empty folder"}
    assert clean_room.read_of_the_checkout() == set()
