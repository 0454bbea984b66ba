"""The contracts that this package ships: every module of it that declares CONTRACT."""

import importlib
import pkgutil
from functools import cache

import model_tools
from penstock.contract.contract import Contract
from penstock.errors import ContractError


@cache
def contracts() -> dict[str, Contract]:
    """Model name to contract, in name order."""
    found: dict[str, Contract] = {}
    for module in sorted(pkgutil.iter_modules(model_tools.__path__), key=lambda m: m.name):
        if module.ispkg or module.name.startswith("_") or module.name == "setup":
            continue
        declared = getattr(importlib.import_module(f"model_tools.{module.name}"), "CONTRACT", None)
        if isinstance(declared, Contract):
            found[declared.model] = declared
    return found


def contract(model: str) -> Contract:
    """The contract of one model; ContractError naming those that exist."""
    known = contracts()
    if model not in known:
        raise ContractError("model", expected=f"one of {', '.join(known)}", found=repr(model))
    return known[model]
