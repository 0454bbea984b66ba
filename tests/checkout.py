"""Where the checkout under test lies, and the project in it."""

from pathlib import Path

from penstock.project import containing

ROOT = Path(__file__).resolve().parent.parent
PROJECT = containing(ROOT)
