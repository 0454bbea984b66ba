"""A deploy under load: code, configuration and the way back, on a real Ray Serve with HAProxy, by one replica."""

import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from benchmarks.chaos.deploy_project import UNABLE
from penstock.contract.contract import Contract
from penstock.postgres import roles
from penstock.processes import free_port
from penstock.project import containing
from penstock.serving.deploying.deploy import DeployError, Rollout
from penstock.serving.deploying.history import History
from penstock.serving.on_ray.cluster import RayCluster
from penstock.settings import Settings
from penstock.testing import Story, as_member, create_book, wait_for
from tests.checkout import ROOT, python_path
from tests.engine.serving import toy
from tests.engine.serving.ray_service import QUESTION, RayService, replicas

CONTRACT = '''"""The toy's contract, of this project."""

import msgspec

from model_tools._words import ENTITY, PURPOSE
from tests.engine.serving.toy import CONTRACT as TOY

CONTRACT = msgspec.structs.replace(TOY, purpose=PURPOSE, entity=ENTITY)
'''
WORDS = 'PURPOSE = "{purpose}"\nENTITY = {entity}\n'
DEPLOYMENT = '"""The application."""\n\nfrom penstock.serving.deployment import Predictions, build\n'
ASKED_EACH_SECOND = 40
OTHER_ENTITY = ("tank",)


class Project(RayService):
    """A running service of a project folder, whose files a test may change."""

    root: Path

    def write(self, purpose: str, entity: tuple[str, ...] = toy.CONTRACT.entity, deployment: str = DEPLOYMENT) -> None:
        (self.root / "model_tools" / "_words.py").write_text(WORDS.format(purpose=purpose, entity=entity))
        (self.root / "serve_app" / "deployment.py").write_text(deployment)

    @property
    def config(self) -> Path:
        return self.root / "serve_app" / "serve_config.yaml"

    def change(self, before: str, after: str) -> None:
        text = self.config.read_text()
        assert before in text
        self.config.write_text(text.replace(before, after))

    def purpose(self) -> str:
        return str(self.http.get("/models", headers={"connection": "close"}).json()[0]["purpose"])

    def refused(self) -> dict[str, int | str] | None:
        found: dict[str, dict[str, int | str]] = self.http.get("/readyz").json()["refused"]
        return found.get("overflow")

    def release(self, version: int, contract: Contract = toy.CONTRACT) -> None:
        toy.release(self.book, self.settings.artifacts, self.folder, version=version, contract=contract)


@pytest.fixture(scope="module")
def project(stack: None, postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    folder, root = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("project")
    for package in ("model_tools", "serve_app"):
        (root / package).mkdir()
        (root / package / "__init__.py").touch()
    (root / "pyproject.toml").write_text('[tool.penstock]\nname = "tanks"\n')
    (root / "model_tools" / "overflow.py").write_text(CONTRACT)
    text = (ROOT / "serve_app" / "serve_config.yaml").read_text()
    (root / "serve_app" / "serve_config.yaml").write_text(text.replace("min_replicas: 2", "min_replicas: 1"))
    book = create_book(postgres, "prod")
    url = as_member(book, roles.SERVICE).url
    settings = Settings(
        home=folder,
        http_port=free_port(),
        test_url=url,
        prod_url=url,
        dagster_url=url,
        artifacts_url=str(folder / "store"),
        project=containing(root),
    )
    toy.publish_all(book)
    made = Project(settings, book, folder)
    made.root = root
    made.release(1)
    made.write("first")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", python_path(tmp_path_factory.mktemp("path"), ROOT))
        patch.setenv("RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S", "12")  # for half the time that this takes
        try:
            RayCluster(settings).start()
            assert Rollout(settings).deploy().now.number == 1
            yield made
        finally:
            RayCluster(settings).stop()


@contextmanager
def asked(project: Project) -> Iterator[None]:
    """Ask all the while, over two connections that are kept and one anew each time; nothing may fail."""
    stop, troubles, answers = threading.Event(), list[str](), [0] * 3

    def ask(number: int) -> None:
        connection = None
        while not stop.wait(len(answers) / ASKED_EACH_SECOND):
            body = json.dumps(QUESTION | {"tank": f"t{number + 1}", "inflow": answers[number] % 1000}).encode()
            try:
                connection = connection or http.client.HTTPConnection("127.0.0.1", project.settings.http_port)
                connection.request("POST", "/models/overflow/predict", body)
                response = connection.getresponse()
                said = response.read()
                if response.status != 200:
                    troubles.append(f"{time.monotonic():.1f} {response.status} {said[:200]!r}")
            except (OSError, http.client.HTTPException) as error:
                troubles.append(f"{time.monotonic():.1f} {error!r}")
                connection = None
            answers[number] += 1
            if number == 0 and connection is not None:
                connection.close()
                connection = None

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(answers))]
    for thread in threads:
        thread.start()
    try:
        yield
        time.sleep(1)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert min(answers) > 10
    assert troubles == []


class TestDeploy(Story):
    """One service; each step finds what the one before has left."""

    def test_changed_code_replaces_the_one_replica_and_fails_nothing(self, project: Project) -> None:
        before = replicas(project.settings)
        project.write("second")
        with asked(project):
            done = Rollout(project.settings).deploy()
            assert project.purpose() == "second"
        assert (done.now.number, done.before and done.before.number) == (2, 1)
        wait_for(lambda: len(replicas(project.settings)) == 1, 60)
        assert not set(replicas(project.settings)) & set(before)

    def test_what_has_not_changed_replaces_nothing(self, project: Project) -> None:
        before = replicas(project.settings)
        done = Rollout(project.settings).deploy()
        assert done.now.code == (done.before and done.before.code)
        assert replicas(project.settings) == before

    def test_the_service_runs_what_was_deployed_whatever_happens_to_the_files(self, project: Project) -> None:
        """Also a replica that starts anew, and a configuration that is applied."""
        project.write("not deployed")
        project.change("downscale_delay_s: 300", "downscale_delay_s: 200")
        Rollout(project.settings).apply()
        project.change("min_replicas: 1", "min_replicas: 2")
        Rollout(project.settings).apply()
        wait_for(lambda: len(replicas(project.settings)) == 2, 60)
        assert {project.purpose() for _ in range(20)} == {"second"}
        project.change("min_replicas: 2", "min_replicas: 1")
        project.change("max_replicas: 4", "max_replicas: 1")
        with asked(project):
            Rollout(project.settings).apply()
        wait_for(lambda: len(replicas(project.settings)) == 1, 60)

    def test_a_file_that_does_not_import_is_named_and_nothing_changes(self, project: Project) -> None:
        before = replicas(project.settings)
        (project.root / "model_tools" / "_words.py").write_text("PURPOSE = 'x'\nENTITY = missing\n")
        with asked(project), pytest.raises(DeployError) as refused:
            Rollout(project.settings).deploy()
        text = str(refused.value)
        assert text.startswith("Nothing was deployed.\nmodel_tools/_words.py, line 2: NameError")
        assert "The service goes on as it was: deploy" in text
        assert len(text.splitlines()) < 6
        assert replicas(project.settings) == before

    def test_code_that_could_serve_no_release_is_refused(self, project: Project) -> None:
        project.write("third", OTHER_ENTITY)
        with pytest.raises(
            DeployError, match=r"no release in PROD has the contract of this code.*`penstock train overflow`"
        ):
            Rollout(project.settings).deploy()
        assert project.purpose() == "second"

    def test_a_release_of_other_code_waits_for_the_deploy(self, project: Project) -> None:
        project.release(2, msgspec.structs.replace(toy.CONTRACT, entity=OTHER_ENTITY))
        found = wait_for(project.refused)
        assert (found["release"], found["serves"]) == (2, 1)
        with asked(project):
            Rollout(project.settings).deploy()
        assert (project.purpose(), project.ask().json()["release"], project.refused()) == ("third", 2, None)

    def test_code_whose_replica_does_not_start_is_taken_back(self, project: Project) -> None:
        wait_for(lambda: len(replicas(project.settings)) == 1, 60)
        before = replicas(project.settings)
        project.write("never", OTHER_ENTITY, DEPLOYMENT + UNABLE)
        with asked(project), pytest.raises(DeployError) as refused:
            Rollout(project.settings).deploy()
        text = str(refused.value)
        assert "does not serve; it was taken back" in text
        assert "no way to start" in text
        assert len(text.splitlines()) < 12
        assert replicas(project.settings) == before
        assert History(project.settings.home).roll() is None

    def test_other_arguments_replace_the_replica_and_fail_nothing(self, project: Project) -> None:
        project.write("third", OTHER_ENTITY)
        before = replicas(project.settings)
        project.change("book: prod", "book: test")
        with asked(project):
            Rollout(project.settings).deploy()
        wait_for(lambda: len(replicas(project.settings)) == 1, 60)
        assert replicas(project.settings) != before

    def test_going_back_serves_the_code_and_configuration_of_before(self, project: Project) -> None:
        """Twice: the arguments, then the code, which falls back to the release that it can serve."""
        with asked(project):
            assert Rollout(project.settings).go_back().now.config.count("book: prod") == 1
        assert (project.purpose(), project.ask().json()["release"]) == ("third", 2)
        with asked(project):
            Rollout(project.settings).go_back()
        assert (project.purpose(), project.ask().json()["release"]) == ("second", 1)
        found = project.refused()
        assert found is not None
        assert (found["release"], found["serves"]) == (2, 1)
        assert "third" in (project.root / "model_tools" / "_words.py").read_text(), "the files are left as they are"
