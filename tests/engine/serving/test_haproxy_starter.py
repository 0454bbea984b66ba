"""The starter turns the configuration that Ray writes for HAProxy into the one that Penstock wants."""

import re
import resource
import shutil
import subprocess
from pathlib import Path

import pytest
from ray.serve._private.constants import RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S as DRAINS
from ray.serve._private.haproxy_templates import HAPROXY_CONFIG_TEMPLATE

from penstock.serving.on_ray.environment import folder, ray_switches
from penstock.serving.on_ray.haproxy import Entry, most_connections, starter
from penstock.settings import Settings


def test_rays_own_template_holds_what_the_starter_replaces(tmp_path: Path) -> None:
    script, config = tmp_path / "haproxy", tmp_path / "haproxy.cfg"
    script.write_text(starter(tmp_path, metrics_port=9101, stats_port=8404, binary="echo"))
    server = "    server r1 10.0.0.1:20000 check observe layer4 error-limit 3 on-error mark-down\n"
    config.write_text(HAPROXY_CONFIG_TEMPLATE + server)
    assert "return status 404 content-type text/plain" in config.read_text()
    assert "mode 666 level admin" in config.read_text()
    command = ["sh", script, "-db", "-f", config, "-sf", "7"]
    started = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert started.split() == ["-db", "-f", str(config), "-sf", "7"]
    made = config.read_text()
    assert f"http-request return status 503 errorfile {tmp_path}/503.http" in made
    assert "status 404 content-type" not in made, "before it knows its routes it is not ready, rather than without them"
    assert "/404.http if { path_beg -i /-/ } !{ path -i /-/healthz } !{ src 127.0.0.0/8 ::1 }\n" in made
    assert "mode 666" not in made
    assert " check backup disabled\n" in made
    assert " check backup\n" not in made
    assert made.endswith(" check tcp-ut 2s observe layer4 error-limit 3 on-error mark-down\n")
    assert "x-request-disconnect-disabled" in made
    assert "global\n    no strict-limits\n" in made
    assert "\ndefaults\n    option http-buffer-request\n" in made
    assert f"    timeout http-request 10s\n    errorfile 408 {tmp_path}/408.http\n" in made
    refused = (tmp_path / "408.http").read_bytes()
    assert refused.startswith(b"HTTP/1.1 408 Request Timeout\r\nContent-Type: application/problem+json\r\n")
    assert (tmp_path / "500.http").read_text() == (tmp_path / "503.http").read_text()


@pytest.mark.parametrize(
    ("host", "binds"),
    [
        ("127.0.0.1", ["127.0.0.1:8000"]),
        ("0.0.0.0", ["*:8000"]),
        ("10.0.0.5", ["10.0.0.5:8000", "127.0.0.1:8000"]),
    ],
)
def test_haproxy_listens_at_the_host_of_the_settings_where_ray_serve_is_on_loopback(
    tmp_path: Path, host: str, binds: list[str]
) -> None:
    script, config = tmp_path / "haproxy", tmp_path / "haproxy.cfg"
    script.write_text(starter(tmp_path, metrics_port=9101, stats_port=8404, binary="echo", entry=Entry(host, 8000)))
    config.write_text("frontend http_frontend\n    bind 127.0.0.1:8000\n")
    subprocess.run(["sh", script, "-f", config, "-sf", "7"], check=True, capture_output=True)
    assert re.findall(r"^ *bind (\S+)", config.read_text(), re.M) == binds


def test_a_replica_that_is_to_end_is_given_up_long_after_its_successor_is_known_and_before_it_ends(
    tmp_path: Path,
) -> None:
    settings = Settings(home=tmp_path)
    try:
        switches = ray_switches(settings.home)
    finally:
        shutil.rmtree(folder(settings.home))
    checks = {name.rsplit("_", 1)[-1]: value for name, value in switches.items() if "HAPROXY_HEALTH_CHECK" in name}
    patience = (int(checks["FALL"]) - 1) * float(checks["FASTINTER"].removesuffix("s"))
    assert 10 <= patience <= DRAINS - 10


def test_haproxy_leaves_files_for_the_replicas_connections() -> None:
    files = (1024, 4096, 20_000, 1_048_576, resource.RLIM_INFINITY)
    assert [most_connections(most) for most in files] == [512, 2048, 17_000, 20_000, 20_000]
