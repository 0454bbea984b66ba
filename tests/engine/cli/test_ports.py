import socket
from pathlib import Path

import pytest

from penstock.cli.system.ports import PortError, check_ports, choose_ports
from penstock.processes import free_port
from penstock.settings import Ports, load

HOST = "127.0.0.1"


def test_free_ports_are_named(tmp_path: Path) -> None:
    ports = Ports(http=free_port(), dagster=free_port())
    assert check_ports(ports, HOST, tmp_path) == f"HTTP {ports.http}, Dagster {ports.dagster}"


@pytest.mark.parametrize(("setting", "name"), [("http", "HTTP"), ("dagster", "DAGSTER")])
def test_a_taken_port_is_refused_and_the_setting_named(tmp_path: Path, setting: str, name: str) -> None:
    ports = {"http": free_port(), "dagster": free_port()}
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", ports[setting]))
        taken.listen()
        with pytest.raises(PortError, match=f"port {ports[setting]}: .*PENSTOCK_{name}_PORT="):
            check_ports(Ports(**ports), HOST, tmp_path)


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
    chosen = choose_ports(load())
    busy = {each.getsockname()[1] for each in taken}
    assert not busy & {chosen.http_port, chosen.dagster_port}
    assert (load().http_port, load().dagster_port) == (chosen.http_port, chosen.dagster_port)
    for each in taken:
        each.close()
    assert {choose_ports(load()).http_port, choose_ports(load()).dagster_port} == busy, "the defaults again, once free"


def test_a_port_that_the_environment_names_is_never_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setenv("PENSTOCK_HTTP_PORT", str(taken.getsockname()[1]))
        with pytest.raises(PortError, match="PENSTOCK_HTTP_PORT="):
            choose_ports(load())
