"""Keeps a node's port answering while Ray Serve replaces an HAProxy that was killed. It imports no package.

`STAND_IN=… python entry_keeper.py PIDS ACTOR [CERTIFICATE]`; the starter (haproxy.py) starts one for each proxy actor
of Ray.

- PIDS is a file to which the starter writes the pid of each HAProxy, the newest last; the configuration of a stand-in
  lies beside it. ACTOR is the pid of Ray's actor. STAND_IN is HAProxy's program: a variable, because who kills what has
  "haproxy" in its command does not mean this process.
- CERTIFICATE is the PEM file that HAProxy listens with. When it changes, HAProxy is told to take the new one.
- Ray notices a killed HAProxy after 3 s and has another one 3 s later. A stand-in answers within a tenth of a second.
  It has no admin socket, so Ray's own checks fail as before and Ray's own restart happens.
- The stand-in goes when Ray's next HAProxy takes over: the starter hands that one the stand-in's pid (`-sf`).
- Where the actor ends right after its HAProxy, Ray has ended both on purpose, and the stand-in goes at once.
- Where the raylet ends, before or after the actor, every HAProxy of PIDS goes: none stays without Ray.
"""

import ctypes
import os
import select
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

ON_PURPOSE_SECONDS = 1.0
"""Ray kills HAProxy, then its actor. After an accident the actor lives for three of Ray's checks, of a second each."""
LONGEST_SECONDS = 60
"""Ray's next HAProxy is there long before; one that never comes leaves no stand-in behind."""
LOOK_SECONDS = 1.0
CERTIFICATE_SECONDS = 30.0
PR_SET_PDEATHSIG = 1


def keep(pids: Path, actor: int, command: list[str], certificate: str = "") -> None:
    """Watch until the raylet has ended, or the actor and its HAProxy."""
    raylet, known = _parent(actor), _version(certificate)
    while True:
        watched = _newest(pids)
        ended = _ended([watched, actor, raylet], CERTIFICATE_SECONDS if certificate else None)
        if actor in ended and not ended & {watched, raylet}:
            # The next actor's HAProxy takes over from this one's, see the starter. Until then this one keeps it.
            ended |= _ended([watched, raylet])
        if not ended:
            found = _version(certificate)
            if found != known and _renew(pids.with_name("admin.sock"), certificate):
                known = found
            continue
        if raylet in ended:
            for pid in _pids(pids):
                if _is(pid, command[0]):
                    os.kill(pid, signal.SIGTERM)
            return
        if actor in ended:
            return
        if _newest(pids) == watched:  # no reload: it was killed
            _stand_in(pids, actor, raylet, command)
            while _newest(pids) == watched and not _ended([actor, raylet], LOOK_SECONDS):
                pass


def _stand_in(pids: Path, actor: int, raylet: int, command: list[str]) -> None:
    """Answer until Ray's next HAProxy does, which ends this one."""
    file, keeper = pids.with_name("stand-in"), os.getpid()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=lambda: _end_with(keeper))  # noqa: S603, PLW1509
    file.write_text(str(process.pid))
    try:
        on_purpose = actor in _ended([actor, raylet, process.pid], ON_PURPOSE_SECONDS)
        if not on_purpose:
            _ended([raylet, process.pid], LONGEST_SECONDS)
    finally:
        process.terminate()
        process.wait()
        file.unlink(missing_ok=True)


def _version(file: str) -> tuple[int, int, int] | None:
    with suppress(OSError):
        state = os.stat(file)
        return state.st_ino, state.st_size, state.st_mtime_ns
    return None


def _renew(admin: Path, file: str) -> bool:
    """Let the running HAProxy take the certificate that the file has now; False where it refuses, as while half of the
    file is written."""
    try:
        pem = "\n".join(line for line in Path(file).read_text().splitlines() if line.strip())
        name = file.replace(" ", "\\ ")
        said = [_tell(admin, f"set ssl cert {name} <<\n{pem}\n\n"), _tell(admin, f"commit ssl cert {name}\n")]
    except OSError as error:
        said = [str(error)]
    print(f"{file}:", *(word.strip() for word in said), flush=True)
    return "Success" in said[-1]


def _tell(admin: Path, order: str) -> str:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        connection.connect(str(admin))
        connection.sendall(order.encode())
        return connection.makefile().read()


def _end_with(parent: int) -> None:
    """Let this process end when its parent does, however that one ends: nothing else would end a stand-in."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(1)


def _ended(pids: list[int], seconds: float | None = None) -> set[int]:
    """All of these that have ended, as soon as one has; none after `seconds`."""
    gone: set[int] = set()
    opened: dict[int, int] = {}
    poll = select.poll()
    try:
        for pid in pids:
            try:
                file = os.pidfd_open(pid)
            except OSError:
                gone.add(pid)
                continue
            opened[file] = pid
            poll.register(file, select.POLLIN)
        wait = 0 if gone else None if seconds is None else seconds * 1000
        return gone | {opened[file] for file, _ in poll.poll(wait)}
    finally:
        for file in opened:
            os.close(file)


def _pids(file: Path) -> list[int]:
    with suppress(OSError):
        return [int(pid) for pid in file.read_text().split()]
    return []


def _newest(file: Path) -> int:
    return (_pids(file) or [0])[-1]


def _parent(pid: int) -> int:
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


def _is(pid: int, program: str) -> bool:
    """Whether a pid is of this program still, and was not given to another."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0] == program.encode()
    return False


def main() -> None:
    """Leave the caller, and watch."""
    pids, actor, program = Path(sys.argv[1]), int(sys.argv[2]), os.environ["STAND_IN"]
    if os.fork() == 0:
        os.setsid()
        keep(pids, actor, [program, "-db", "-f", str(pids.with_name("stand-in.cfg"))], *sys.argv[3:])


if __name__ == "__main__":
    main()
