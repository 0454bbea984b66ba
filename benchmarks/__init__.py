"""The measurements behind every figure in the docs; each runs as `python -m benchmarks.NAME`."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The checkout that is measured."""
