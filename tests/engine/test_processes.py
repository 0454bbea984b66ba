import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from penstock.processes import Processes, Record, free_port, is_free, memory, tree

PARENT = """
import signal, subprocess, sys, time
if "stubborn" in sys.argv: signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print("child", child.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def processes(tmp_path: Path) -> Processes:
    return Processes(tmp_path / "state")


def start(processes: Processes, folder: Path, *arguments: str, name: str = "part") -> tuple[Record, psutil.Process]:
    log = folder / "logs" / f"{name}.log"
    command = [sys.executable, "-c", PARENT, *arguments]
    record = processes.start(name, command, log=log, env=os.environ, cwd=folder, port=1234)
    while "child" not in log.read_text():
        time.sleep(0.02)
    return record, psutil.Process(int(log.read_text().split()[1]))


def test_a_started_part_is_found_again_by_another_process(processes: Processes, tmp_path: Path) -> None:
    record, _ = start(processes, tmp_path)
    assert Processes(processes.state).running("part") == record
    assert processes.all() == [record]
    assert record.port == 1234
    processes.stop("part")


def test_a_part_runs_in_its_own_session_so_that_ctrl_c_spares_it(processes: Processes, tmp_path: Path) -> None:
    record, _ = start(processes, tmp_path)
    assert os.getsid(record.pid) == record.pid != os.getsid(0)
    processes.stop("part")


def test_a_part_and_its_children_give_way_where_they_should(processes: Processes, tmp_path: Path) -> None:
    ours = os.getpriority(os.PRIO_PROCESS, 0)
    record, _ = start(processes, tmp_path)
    assert psutil.Process(record.pid).nice() == ours
    processes.stop("part")
    nicer = processes.start(
        "nicer", [sys.executable, "-c", PARENT], log=tmp_path / "log", env=os.environ, cwd=tmp_path, niceness=7
    )
    while "child" not in (tmp_path / "log").read_text():
        time.sleep(0.02)
    child = psutil.Process(int((tmp_path / "log").read_text().split()[1]))
    assert [psutil.Process(nicer.pid).nice(), child.nice()] == [max(ours, 7)] * 2
    processes.stop("nicer")


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [(), ("stubborn",)])
def test_stopping_ends_the_part_and_its_children(
    processes: Processes, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    record, child = start(processes, tmp_path, *arguments)
    assert processes.stop("part", grace=0.5)
    assert record.process() is None
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
    assert processes.find("part") is None


def test_a_pid_that_now_belongs_to_another_process_is_left_alone(processes: Processes) -> None:
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        processes.record("part", stranger.pid, port=0, command=["x"], log=Path("x"))
        forged = processes.state / "part.process.json"
        forged.write_text(forged.read_text().replace('"created": 1', '"created": 0'))
        assert processes.running("part") is None
        assert not processes.stop("part")
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_torn_record_counts_as_none(processes: Processes) -> None:
    processes.state.mkdir()
    (processes.state / "part.process.json").write_text('{"name": "pa')
    assert processes.find("part") is None
    assert processes.all() == []


def test_memory_counts_a_process_and_its_children(processes: Processes, tmp_path: Path) -> None:
    record, child = start(processes, tmp_path)
    process = record.process()
    assert process is not None
    assert set(tree(process)) == {process, child}
    assert memory(tree(process)) > memory([process]) > 1_000_000
    processes.stop("part")


def test_a_taken_port_is_not_free_and_another_is_chosen() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert not is_free("127.0.0.1", port)
        assert free_port("127.0.0.1", port) != port
    assert is_free("127.0.0.1", free_port())


def test_a_free_port_is_none_that_an_outgoing_connection_may_take_meanwhile() -> None:
    first, last = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    ports = [free_port() for _ in range(200)]
    assert len(set(ports)) == 200, "none is given twice"
    assert not any(first <= port <= last for port in ports)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", ports[0]))
        taken.listen()
        assert free_port(wanted=ports[0]) != ports[0]
