"""The project around the engine: its root and its top-level packages, which the engine imports only here."""

import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent
CONTRACTS = "model_tools"
DECLARATIONS = "assets"
DEFINITIONS = "assets.definitions"
EXAMPLE = "resources.example"
SERVE_CONFIG = ROOT / "serve_app" / "serve_config.yaml"


def contract_modules() -> Iterator[ModuleType]:
    """The modules that may declare CONTRACT, in name order."""
    return _modules(CONTRACTS)


def declaration_modules() -> Iterator[ModuleType]:
    """The modules that may declare MODEL, TABLES, PREPARATIONS or SOURCES, in name order."""
    return _modules(DECLARATIONS)


def example() -> ModuleType:
    """The example's warehouse."""
    return importlib.import_module(EXAMPLE)


def _modules(package: str) -> Iterator[ModuleType]:
    found = pkgutil.iter_modules(importlib.import_module(package).__path__, f"{package}.")
    for module in sorted(found, key=lambda m: m.name):
        own = module.name.removeprefix(f"{package}.")
        if not (module.ispkg or own.startswith("_") or module.name == DEFINITIONS):
            yield importlib.import_module(module.name)
