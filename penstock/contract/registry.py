"""The contracts of the project: of every module of its `model_tools` that declares CONTRACT."""

from functools import cache

import msgspec

from penstock.contract.contract import Contract
from penstock.errors import ContractError
from penstock.importing import BrokenFile, BrokenFiles, import_package
from penstock.project import CONTRACTS, Project, find_or_none


class Contracts(msgspec.Struct, frozen=True):
    """Contracts by model, in name order, and the files that do not import and so may hold others."""

    by_model: dict[str, Contract]
    broken: tuple[BrokenFile, ...] = ()

    def contract(self, model: str) -> Contract:
        """The contract of one model; ContractError naming those that exist, BrokenFiles where it may be in one."""
        self.demand(model)
        if model not in self.by_model:
            raise BrokenFiles(self.broken)
        return self.by_model[model]

    def demand(self, model: str) -> None:
        """ContractError where no contract is of this model; a file that does not import may hold it."""
        if model not in self.by_model and not self.broken:
            known = ", ".join(self.by_model) or "(none yet)"
            raise ContractError("model", expected=f"one of {known}", found=repr(model))


def read_contracts(project: Project | None = None) -> Contracts:
    """The contracts of a project, by default of this process's; where there is none, of the installed `model_tools`."""
    return _contracts(project or find_or_none())


def contracts(project: Project | None = None) -> dict[str, Contract]:
    """Model name to contract, of the files that import; see `read_contracts`."""
    return read_contracts(project).by_model


def contract(model: str, project: Project | None = None) -> Contract:
    """The contract of one model; see `read_contracts`."""
    return read_contracts(project).contract(model)


@cache
def _contracts(project: Project | None) -> Contracts:
    modules = import_package(project, CONTRACTS)
    found = [declared for module in modules.found if isinstance(declared := vars(module).get("CONTRACT"), Contract)]
    return Contracts({contract.model: contract for contract in found}, modules.broken)
