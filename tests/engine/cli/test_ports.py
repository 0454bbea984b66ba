import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec
import pytest

from penstock.cli.system.ports import PortError, check_ports, choose_ports
from penstock.errors import PenstockError
from penstock.processes import free_port
from penstock.settings import Settings, load


def test_free_ports_are_named(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, http_port=free_port(), dagster_port=free_port())
    assert check_ports(settings) == f"HTTP {settings.http_port}, Dagster {settings.dagster_port}"


def test_one_port_for_both_is_refused(tmp_path: Path) -> None:
    port = free_port()
    with pytest.raises(PortError, match=f"expected two ports, found {port} for both"):
        check_ports(Settings(home=tmp_path, http_port=port, dagster_port=port))


def test_the_port_with_tls_is_tried_too(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        settings = Settings(home=tmp_path, http_port=free_port(), dagster_port=free_port(), https_address=address)
        assert "HTTPS" not in check_ports(settings)
        with pytest.raises(PortError, match=f"PENSTOCK_HTTPS_ADDRESS={address}: found held by "):
            check_ports(msgspec.structs.replace(settings, tls_file="tls.pem"))


def test_the_port_with_tls_is_one_of_its_own(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, http_port=free_port(), dagster_port=free_port(), tls_file="tls.pem")
    for port in (settings.http_port, settings.dagster_port):
        with pytest.raises(PortError, match=f"^PENSTOCK_HTTPS_ADDRESS: expected a port of its own, found {port}"):
            check_ports(msgspec.structs.replace(settings, https_address=f"0.0.0.0:{port}"))


@pytest.mark.parametrize(("setting", "name"), [("http", "HTTP"), ("dagster", "DAGSTER")])
def test_a_taken_port_is_refused_and_the_setting_named(tmp_path: Path, setting: str, name: str) -> None:
    ports = {"http": free_port(), "dagster": free_port()}
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", ports[setting]))
        taken.listen()
        with pytest.raises(PortError, match=f"port {ports[setting]}: .*PENSTOCK_{name}_PORT="):
            check_ports(Settings(home=tmp_path, http_port=ports["http"], dagster_port=ports["dagster"]))


LISTEN = "import socket; s = socket.create_server(('127.0.0.1', {})); print('listens', flush=True); s.accept()"


@contextmanager
def listening(port: int, **environment: str) -> Iterator[int]:
    """Another process that listens at a port, with these variables; its number."""
    command = [sys.executable, "-c", LISTEN.format(port)]
    others = {name: text for name, text in os.environ.items() if not name.startswith("PENSTOCK_")}
    with subprocess.Popen(command, env=others | environment, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"listens\n"
            yield process.pid
        finally:
            process.kill()


def test_another_project_that_holds_a_port_is_named_with_what_ends_it(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, http_port=free_port(), dagster_port=free_port())
    theirs = {"PENSTOCK_HOME": "/their/home", "PENSTOCK_PROJECT": "/their/project"}
    with listening(settings.http_port, **theirs), pytest.raises(PortError) as refused:
        check_ports(settings)
    assert "held by the Penstock project /their/project (its PENSTOCK_HOME is /their/home)" in str(refused.value)
    assert "Run `PENSTOCK_HOME=/their/home penstock down` in /their/project, or choose another port" in str(
        refused.value
    )


def test_another_program_that_holds_a_port_is_named_by_its_process(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, http_port=free_port(), dagster_port=free_port())
    with listening(settings.dagster_port) as pid, pytest.raises(PortError) as refused:
        check_ports(settings)
    assert re.search(
        rf"held by another program, python\S* \(process {pid}\)\. End that program, or", str(refused.value)
    )


def test_the_service_listens_on_loopback_too_whatever_its_host(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortError, match=f"port {port}: .*PENSTOCK_HTTP_PORT="):
            check_ports(Settings(home=tmp_path, http_host="127.0.0.2", http_port=port, dagster_port=free_port()))


def test_all_that_are_taken_are_said_with_who_holds_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = {"HTTP": free_port(), "DAGSTER": free_port()}
    for name, port in taken.items():
        monkeypatch.setenv(f"PENSTOCK_{name}_PORT", str(port))
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path))
    with listening(taken["HTTP"]) as one, listening(taken["DAGSTER"]) as other, pytest.raises(PenstockError) as refused:
        choose_ports(load(), ExitStack())
    for port, pid in ((taken["HTTP"], one), (taken["DAGSTER"], other)):
        said = rf"port {port}: expected free, found held by another program, python\S* \(process {pid}\)"
        assert re.search(said, str(refused.value))


def test_a_host_of_another_machine_is_refused_by_its_name(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, http_host="192.0.2.1")
    with pytest.raises(PortError, match=r"PENSTOCK_HTTP_HOST=192.0.2.1: .* addresses of this machine"):
        choose_ports(settings, ExitStack())
    with pytest.raises(PortError, match=r"PENSTOCK_HTTP_HOST=192.0.2.1: "):
        check_ports(settings)


def test_where_the_defaults_are_taken_others_are_chosen_and_every_later_command_finds_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path))
    for name in ("PENSTOCK_HTTP_PORT", "PENSTOCK_DAGSTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    taken = [socket.socket(), socket.socket()]
    for each, name in zip(taken, ("HTTP_PORT", "DAGSTER_PORT"), strict=True):
        each.bind(("127.0.0.1", 0))
        each.listen()
        monkeypatch.setattr(f"penstock.cli.system.ports.{name}", each.getsockname()[1])
    with ExitStack() as held:
        chosen = choose_ports(load(), held)
    busy = {each.getsockname()[1] for each in taken}
    assert not busy & {chosen.http_port, chosen.dagster_port}
    assert (load().http_port, load().dagster_port) == (chosen.http_port, chosen.dagster_port)
    for each in taken:
        each.close()
    with ExitStack() as held:
        chosen = choose_ports(load(), held)
    assert {chosen.http_port, chosen.dagster_port} == busy, "the defaults again, once free"


def test_a_port_that_the_environment_names_is_never_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setenv("PENSTOCK_HTTP_PORT", str(taken.getsockname()[1]))
        with pytest.raises(PortError, match="PENSTOCK_HTTP_PORT="):
            choose_ports(load(), ExitStack())


def test_two_that_start_at_the_same_moment_choose_different_ports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen: two clones whose `up` began in the same second both took 3000, and the later webserver ended."""
    for name in ("PENSTOCK_HTTP_PORT", "PENSTOCK_DAGSTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    one, two = (Settings(home=tmp_path / name) for name in ("one", "two"))
    with ExitStack() as held:
        first, second = choose_ports(one, held), choose_ports(two, held)
        assert not {first.http_port, first.dagster_port} & {second.http_port, second.dagster_port}
    monkeypatch.setenv("PENSTOCK_HTTP_PORT", "named")
    one, two = (Settings(home=each.home, http_port=first.http_port) for each in (one, two))
    with ExitStack() as held:
        choose_ports(one, held)
        with pytest.raises(PortError, match=f"port {first.http_port}: .*PENSTOCK_HTTP_PORT="):
            choose_ports(two, held)


def test_what_one_that_starts_holds_is_no_free_port_of_any(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen: the code server of the same `up`, which starts first, was given the webserver's port."""
    for name in ("PENSTOCK_HTTP_PORT", "PENSTOCK_DAGSTER_PORT"):
        monkeypatch.setenv(name, "named")
    settings = Settings(home=tmp_path, http_port=free_port(), dagster_port=free_port())
    ours = (settings.http_port, settings.dagster_port)
    for port in ours:
        monkeypatch.setattr("penstock.processes._candidates", iter([port, 19_999, 19_998]))
        assert free_port() == port
    with ExitStack() as held:
        choose_ports(settings, held)
        monkeypatch.setattr("penstock.processes._candidates", iter([*ours, *range(10_000, 20_000)]))
        assert free_port() not in ours
