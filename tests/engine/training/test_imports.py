"""Importing the rooms from extract to graph changes no environment variable and reads none of ours."""

import os
import subprocess
import sys

import pytest

from tests.checkout import ROOT

SCRIPT = """
import os, pkgutil, importlib, sys
seen = []
original = os._Environ.__getitem__
def recorded(self, name):
    caller = sys._getframe(1)
    while caller.f_code.co_filename == os.__file__ or "_collections_abc" in caller.f_code.co_filename:
        caller = caller.f_back
    if "/penstock/" in caller.f_code.co_filename and "site-packages" not in caller.f_code.co_filename:
        seen.append((name, caller.f_code.co_filename))
    return original(self, name)
os._Environ.__getitem__ = recorded
count = 0
for room in ("extract", "snapshots", "rows", "warehouse", "declare", "training", "graph"):
    package = importlib.import_module(f"penstock.{room}")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"penstock.{room}.{module.name}")
        count += 1
os._Environ.__getitem__ = original
print(count, seen, [name for name in os.environ if name.startswith(("OMP_", "RAY_", "PENSTOCK_"))])
"""


@pytest.mark.slow
def test_importing_reads_and_sets_no_environment() -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "RAY_", "PENSTOCK_"))}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, env=kept, capture_output=True, text=True, check=True
    )
    count, rest = done.stdout.strip().split(" ", 1)
    assert int(count) > 30
    assert rest == "[] []"
