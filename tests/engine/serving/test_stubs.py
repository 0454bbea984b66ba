"""Packages that Ray does without in the processes of a local head, and that everyone else gets."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from penstock.serving.on_ray.environment import STUBS
from tests.checkout import ROOT, python_path


@pytest.fixture
def path(tmp_path: Path) -> str:
    return python_path(tmp_path, STUBS, ROOT)


def run(program: str, path: str) -> str:
    """What a program prints in the environment of a local head."""
    environment = os.environ | {"PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, cwd=ROOT / "tests", capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.mark.slow
def test_ray_serve_starts_without_pandas_and_pyarrow_and_leaves_them_to_others(path: str) -> None:
    program = """
import sys, ray.serve
from ray._private import arrow_serialization
arrow_serialization._register_custom_datasets_serializers(None)
print([name for name in ("pandas", "pyarrow") if name in sys.modules])
import pandas, pyarrow.parquet
print(pandas.DataFrame({"a": [1]}).shape, pyarrow.array([1]).type, pandas is sys.modules["pandas"])
"""
    assert run(program, path).splitlines() == ["[]", "(1, 1) int64 True"]


@pytest.mark.slow
def test_requests_is_executed_when_it_is_used(path: str) -> None:
    program = """
import sys, ray.serve, requests
print("urllib3" in sys.modules)
import requests.adapters
print(requests.adapters.HTTPAdapter.__name__, requests is sys.modules["requests"], "urllib3" in sys.modules)
"""
    assert run(program, path).splitlines() == ["False", "HTTPAdapter True True"]
    late = "import requests; print(requests.get.__name__, issubclass(requests.Timeout, requests.RequestException))"
    assert run(late, path) == "get True"
