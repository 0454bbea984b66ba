"""The project around the engine: its root, and the modules of its top-level packages."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
