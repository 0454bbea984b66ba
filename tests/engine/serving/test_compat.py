"""Private names of other packages: each exists, and without it the service goes another way."""

import asyncio
import importlib
import re
import shutil
import sys
from enum import EnumType
from pathlib import Path
from typing import Any

import pytest
import ray
from ray.serve._private.application_state import ApplicationState
from ray.serve._private.haproxy_templates import HAPROXY_CONFIG_TEMPLATE
from ray.serve._private.replica import Replica
from ray.serve.schema import APIType

from penstock.lookups.compat import TRANSPORT, socket_of
from penstock.lookups.connection import connect
from penstock.serving.on_ray import bypass, compat, loopback
from penstock.serving.on_ray.compat import NAMES, PrivateName
from penstock.serving.on_ray.controller import keep_ingress
from penstock.serving.on_ray.environment import folder, ray_switches
from penstock.settings import Settings

PACKAGE = Path(ray.__file__).parent
OF_THE_SLOT = (
    compat.REQUEST_METADATA,
    compat.HTTP,
    compat.CAN_ACCEPT,
    compat.TRACK_QUEUED,
    compat.START_REQUEST,
)
OF_UVICORN = (compat.HTTP_PROTOCOLS, compat.HTTP_TOOLS)


def names_of(names: tuple[PrivateName, ...]) -> Any:
    return pytest.mark.parametrize("name", names, ids=lambda name: f"{name.module}.{name.path}")


def take_away(monkeypatch: pytest.MonkeyPatch, name: PrivateName) -> None:
    """Remove a name from the package itself."""
    owner: Any = importlib.import_module(name.module)
    *way, last = name.path.split(".")
    for part in way:
        owner = getattr(owner, part)
    if isinstance(owner, EnumType):  # whose members cannot be deleted
        monkeypatch.setattr(importlib.import_module(name.module), way[0], object())
    else:
        monkeypatch.delattr(owner, last)
    assert name.find() is None


@pytest.fixture
def replica() -> Any:
    """A Replica of Ray's own class that was never started."""
    made = object.__new__(Replica)
    made._route_prefix = "/"
    return made


@names_of(NAMES)
def test_each_private_name_is_where_it_was(name: PrivateName) -> None:
    assert name.find() is not None, f"{name.module}.{name.path} has moved: {name.without}"


def test_the_attributes_of_rays_own_objects_are_where_they_were() -> None:
    source = (PACKAGE / "serve" / "_private" / "replica.py").read_text()
    assert f"self.{compat.ROUTE_PREFIX} = " in source
    assert f"self.{compat.WRAPPED_APP} = " in (PACKAGE / "serve" / "_private" / "http_util.py").read_text()
    assert f"def {compat.HTTP_CONFIG}(self)" in (PACKAGE / "serve" / "_private" / "client.py").read_text()
    assert f"self.{compat.INGRESS_NAME} = " in (PACKAGE / "serve" / "_private" / "application_state.py").read_text()
    assert (PACKAGE.joinpath(*compat.RAY_COMMAND)).is_file()
    files = [PACKAGE.parent.joinpath(*name.split(".")).with_suffix(".py") for name in compat.OPTIONAL_IMPORTERS]
    assert [path.is_file() for path in files] == [True] * 2, files


@pytest.mark.parametrize(("line", "without"), compat.HAPROXY_LINES)
def test_rays_haproxy_template_has_the_lines_that_the_starter_changes(line: str, without: str) -> None:
    assert line in HAPROXY_CONFIG_TEMPLATE, f"{line!r} has moved: {without}"


@pytest.mark.slow
def test_ray_knows_every_switch_that_is_set(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    try:
        switches = ray_switches(settings.home)
    finally:
        shutil.rmtree(folder(settings.home))
    sources = "\n".join(path.read_text(errors="replace") for path in PACKAGE.glob("**/*.py") if path.stat().st_size)
    compiled = (PACKAGE / "core" / "src" / "ray" / "gcs" / "gcs_server").read_bytes()
    assert len(switches) > 30
    for name in switches:
        known = re.search(rf"\b{name}\b", sources) or name.removeprefix("RAY_").encode() in compiled
        assert known, f"Ray does not know {name}"


def test_a_replica_has_slots(replica: Any) -> None:
    found = compat.slots(replica._direct_ingress_asgi)
    assert found is not None
    assert found.start == replica._start_request
    assert compat.route_prefix(replica._direct_ingress_asgi) == "/"


@names_of(OF_THE_SLOT)
def test_without_a_name_of_the_slot_requests_go_rays_way(
    name: PrivateName, replica: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_away(monkeypatch, name)
    went: list[str] = []

    async def rays_way(*_: Any) -> None:
        went.append("Ray's way")

    monkeypatch.setattr(Replica, "_direct_ingress_asgi", lambda _, *arguments: rays_way(*arguments))
    bypass.serve(lambda *_: pytest.fail("the bypass was taken"))
    scope: dict[str, Any] = {"type": "http", "path": "/models"}
    asyncio.run(bypass.Bypass(replica._direct_ingress_asgi)(scope, None, None))  # type: ignore[arg-type]
    assert went == ["Ray's way"]


def test_with_another_signature_requests_go_rays_way(replica: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Replica, "_start_request", lambda self, metadata, more: None)
    assert compat.slots(replica._direct_ingress_asgi) is None


@names_of(OF_UVICORN)
def test_without_a_name_of_uvicorn_its_own_protocol_is_used(name: PrivateName, monkeypatch: pytest.MonkeyPatch) -> None:
    import uvicorn.config

    before = dict(uvicorn.config.HTTP_PROTOCOLS)
    with monkeypatch.context() as patch:
        take_away(patch, name)
        assert len(bypass.middlewares()) == 1
    assert before == uvicorn.config.HTTP_PROTOCOLS
    assert before["auto"] != bypass.COALESCING


@pytest.fixture
def application(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The state of an application whose replicas run, as Ray's controller keeps it."""
    monkeypatch.setattr(ApplicationState, "_set_target_state", ApplicationState._set_target_state)
    made = ApplicationState.__new__(ApplicationState)
    made._name, made._ingress_deployment_name, made._ingress_request_router_deployment_name = "a", "Predictions", None
    monkeypatch.setattr(made, "_update_status", lambda *_: None)
    return made


def build_anew(application: Any) -> None:
    application._set_target_state(None, api_type=APIType.DECLARATIVE, code_version=None, target_config=None)


def test_an_application_that_is_built_anew_keeps_its_ingress(application: Any) -> None:
    keep_ingress()
    build_anew(application)
    assert application.ingress_deployment == "Predictions"
    application._set_target_state({}, api_type=APIType.DECLARATIVE, code_version=None, target_config=None)
    assert application.ingress_deployment is None, "it has been deleted"


@names_of((compat.APPLICATION_STATE, compat.SET_TARGET))
def test_without_a_name_of_the_controller_it_works_as_ray_has_it(
    name: PrivateName, application: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as patch:
        take_away(patch, name)
        keep_ingress()
    build_anew(application)
    assert application.ingress_deployment is None
    assert "refuses requests while Ray builds it" in caplog.text


def test_without_rays_client_a_config_is_applied_by_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    take_away(monkeypatch, compat.GLOBAL_CLIENT)
    assert compat.serve_client() is None


def test_without_rays_module_its_command_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    assert compat.ray_command() == [sys.executable, "-m", "ray.scripts.scripts"]
    monkeypatch.setattr(compat, "RAY_COMMAND", ("scripts", "moved.py"))
    (command,) = compat.ray_command()
    assert Path(command).is_file()


@pytest.mark.parametrize("there", [True, False])
def test_a_grpc_server_of_a_replica_stays_on_loopback(there: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is bound there; if Ray has moved what binds it, it is closed after it has opened."""
    import grpc
    from ray.serve._private import replica as module

    bind = module.add_port_to_grpc_server
    monkeypatch.setattr(module, "add_port_to_grpc_server", bind)
    if not there:
        take_away(monkeypatch, compat.ADD_PORT)
    loopback.bind_grpc_to_loopback()

    async def serve() -> tuple[list[str], list[str]]:
        server = grpc.aio.server()
        port = (module.add_port_to_grpc_server if there else bind)(server, "[::]:0")
        await server.start()
        closed = await asyncio.to_thread(loopback.close_exposed)
        again = await asyncio.to_thread(loopback.close_exposed)
        reader = asyncio.open_connection("127.0.0.1", port)
        if there:
            (await reader)[1].close()
        else:
            assert {address.rpartition(":")[2] for address in closed} == {str(port)}
            with pytest.raises(ConnectionRefusedError):
                await reader
        await server.stop(0)
        return closed, again

    closed, again = asyncio.run(serve())
    assert bool(closed) == (not there)
    assert again == []


def test_which_addresses_are_loopback() -> None:
    assert [host for host in ("127.0.0.1", "127.0.0.2", "::1", "::ffff:127.0.0.1") if loopback.is_loopback(host)]
    assert not [host for host in ("0.0.0.0", "::", "10.0.0.1", "::ffff:10.0.0.1") if loopback.is_loopback(host)]


def test_without_asyncpgs_transport_the_socket_stays_as_it_is(postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def connected() -> tuple[bool, bool, int]:
        connection = await connect(postgres)
        there = socket_of(connection) is not None
        await connection.close()
        monkeypatch.setattr("penstock.lookups.compat.TRANSPORT", "_moved")
        without = await connect(postgres)
        try:
            return there, socket_of(without) is None, await without.fetchval("SELECT 1")
        finally:
            await without.close()

    assert TRANSPORT == "_transport"
    assert asyncio.run(connected()) == (True, True, 1)
