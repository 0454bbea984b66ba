"""Whether this machine can install Penstock: one sentence for each thing that cannot work, before anything is installed.

`python3 requirements/check_machine.py FOLDER` exits with 1 where something is in the way. FOLDER is where the packages
go. Runs on any Python 3, which is why it imports nothing that is not everywhere.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile

LEAST_PYTHON = (3, 11)
PACKAGES_GB = 2.5  # .venv/ is 1.7 GB, and pip unpacks while it installs
STATE_GB = 1.0  # the example's warehouse, snapshots and books


def faults(folder):
    """Every sentence that says what is in the way; empty where nothing is."""
    return [sentence for check in (python, libc, space, executable) for sentence in check(folder)]


def python(_):
    """Python itself, and the modules that make a virtual environment."""
    if sys.version_info < LEAST_PYTHON:
        yield "Penstock needs Python {}.{} or newer; {} is {}.{}. Name another: make PYTHON=python3.12 up".format(
            *LEAST_PYTHON, sys.executable, *sys.version_info[:2]
        )
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        yield "{} lacks the module venv or ensurepip (Debian: apt-get install python3-venv).".format(sys.executable)


def libc(_):
    """Ray and Postgres are published for glibc only."""
    name = sysconfig.get_config_var("SOABI") or ""
    if "musl" in name or (sysconfig.get_config_var("HOST_GNU_TYPE") or "").endswith("musl"):
        yield "Penstock needs glibc: Ray and the embedded Postgres have no packages for musl. Use a Debian, Ubuntu or Fedora."


def space(folder):
    """Room for the packages and for the state."""
    needed = {}
    for place, size in ((folder, PACKAGES_GB), (os.environ.get("PENSTOCK_HOME") or ".", STATE_GB)):
        place = existing(place)
        device = os.stat(place).st_dev
        needed[device] = (place, needed.get(device, (place, 0))[1] + size)
    for place, size in needed.values():
        free = shutil.disk_usage(place).free / 1e9
        if free < size:
            yield "Penstock needs {:.1f} GB of disk at {}; {:.1f} GB are free.".format(size, os.path.abspath(place), free)


def executable(folder):
    """The folder can be written, and programs run there."""
    place = existing(folder)
    try:
        with tempfile.TemporaryDirectory(dir=place) as scratch:
            program = os.path.join(scratch, "program")
            with open(program, "w") as file:
                file.write("#!/bin/sh\nexit 0\n")
            os.chmod(program, 0o700)
            subprocess.check_call([program])
    except PermissionError as error:
        if error.filename and error.filename.endswith("program"):
            yield "Programs do not run in {}: its file system is mounted noexec. Clone elsewhere, or set VENV.".format(place)
        else:
            yield "{} cannot be written. Clone elsewhere, or set VENV to a folder that can.".format(place)
    except OSError as error:
        yield "{} cannot be written: {}.".format(place, error.strerror)


def existing(path):
    """The nearest folder above `path` that exists."""
    path = os.path.abspath(path)
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return path


if __name__ == "__main__":
    found = faults(sys.argv[1])
    for each in found:
        sys.stderr.write(each + "\n")
    sys.exit(1 if found else 0)
