import socket
from pathlib import Path

import pytest

from cli.ports import PortTaken, check_ports
from resources.processes import free_port
from resources.settings import Settings


def test_free_ports_are_named(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, http_port=free_port(), dagster_port=free_port())
    assert check_ports(settings) == f"HTTP {settings.http_port}, Dagster {settings.dagster_port}"


@pytest.mark.parametrize(("setting", "name"), [("http_port", "HTTP"), ("dagster_port", "DAGSTER")])
def test_a_taken_port_is_refused_and_the_setting_named(tmp_path: Path, setting: str, name: str) -> None:
    ports = {"http_port": free_port(), "dagster_port": free_port()}
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", ports[setting]))
        taken.listen()
        with pytest.raises(PortTaken, match=f"port {ports[setting]}: .*PENSTOCK_{name}_PORT="):
            check_ports(Settings(home=tmp_path, **ports))
