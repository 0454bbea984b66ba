"""The contracts of the project: of every module of its `model_tools` that declares CONTRACT."""

from functools import cache

from penstock.contract.contract import Contract
from penstock.errors import ContractError
from penstock.project import contract_modules


@cache
def contracts() -> dict[str, Contract]:
    """Model name to contract, in name order."""
    found: dict[str, Contract] = {}
    for module in contract_modules():
        declared = getattr(module, "CONTRACT", None)
        if isinstance(declared, Contract):
            found[declared.model] = declared
    return found


def contract(model: str) -> Contract:
    """The contract of one model; ContractError naming those that exist."""
    known = contracts()
    if model not in known:
        raise ContractError("model", expected=f"one of {', '.join(known)}", found=repr(model))
    return known[model]
