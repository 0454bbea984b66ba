"""Whether a project's code can serve what a book holds: asked before a deploy changes anything."""

import importlib
from collections.abc import Iterable, Mapping, Sequence, Set
from itertools import chain

import msgspec
import psycopg

from penstock.contract.contract import Contract
from penstock.contract.registry import read_contracts
from penstock.importing import broken_file
from penstock.lookups.fit import misfits_in
from penstock.lookups.sql import tables_of
from penstock.postgres.book import Book
from penstock.postgres.pointer import pointers
from penstock.project import Project
from penstock.releases.ledger import fitting_contracts


class CodeCheck(msgspec.Struct, frozen=True):
    """What the code declares, and what is wrong with it.

    - `contracts` are the digests of its contracts, by model, as releases of the books are recorded by them.
    - `application` says why the application does not import, and `broken` which other files do not: file, line, cause.
    - `unfit` says of each released model why the code cannot serve it: no release fits, or a table lacks a column.
    """

    contracts: dict[str, str]
    application: tuple[str, ...]
    broken: tuple[str, ...]
    unfit: dict[str, str]


def check_code(project: Project, import_paths: Iterable[str], books: Sequence[Book]) -> CodeCheck:
    """Import the code as a replica will, and compare its contracts with every release of the books."""
    found = read_contracts(project)
    fitting = {book.name: fitting_contracts(book) for book in books}
    recorded = {digest for of_book in fitting.values() for digests in of_book.values() for digest in digests}
    contracts = {
        name: next((digest for digest in contract.known_as() if digest in recorded), contract.digest())
        for name, contract in found.by_model.items()
    }
    application = [fault for path in import_paths if (fault := _fault(project, path))]
    broken = [fault for one in found.broken if (fault := str(one)) not in application]
    unfit: dict[str, str] = {}
    for book_name, of_book in fitting.items():
        for model, digests in of_book.items():
            if model in contracts and not any(map(found.by_model[model].is_of, digests)):
                unfit[model] = (
                    f"model {model!r}: no release in {book_name.upper()} has the contract of this code "
                    f"({contracts[model][:12]}). Run `penstock train {model}`: its release waits for the deploy."
                )
    for book in books:
        lacking = misfits_of(book, {name: found.by_model[name] for name in fitting[book.name].keys() & contracts})
        unfit = lacking | unfit
    return CodeCheck(contracts, tuple(dict.fromkeys(application)), tuple(dict.fromkeys(broken)), unfit)


def misfits_of(book: Book, contracts: Mapping[str, Contract]) -> dict[str, str]:
    """Model -> what its lookups want and the book's current tables do not have."""
    with book.connect() as connection:
        published = pointers(connection).keys()
        faults = {
            name: {
                table: [f"table {table!r} is not published"] for table in tables_of(contract) if table not in published
            }
            | misfits_in(connection, contract)
            for name, contract in contracts.items()
        }
    return {
        name: f"model {name!r}, lookups in {book.name.upper()}: {'; '.join(chain.from_iterable(of_tables.values()))}. "
        f"Publish a table that has them: `penstock publish {' '.join(of_tables)}`."
        for name, of_tables in faults.items()
        if of_tables
    }


def lost_by(check: CodeCheck, running: Mapping[str, str], fitting: Mapping[str, Set[str]]) -> list[str]:
    """Why a deploy is refused: what would no longer be served of what the `running` contracts serve."""
    served = served_by(running, fitting)
    return [*check.broken, *(fault for model, fault in check.unfit.items() if model in served)]


def served_by(contracts: Mapping[str, str], fitting: Mapping[str, Set[str]]) -> set[str]:
    """The models that code of these contracts serves."""
    return {model for model, digest in contracts.items() if digest in fitting.get(model, ())}


def _fault(project: Project, import_path: str) -> str:
    """Why an application does not import; empty where it does."""
    module, _, attribute = import_path.replace(":", ".").rpartition(".")
    project.put_on_path()
    try:
        if not hasattr(importlib.import_module(module), attribute):
            return f"{module.replace('.', '/')}.py: expected {attribute!r}, which import_path names, found none"
    except (Exception, SystemExit) as error:
        return str(broken_file(error, module, project.root))
    return ""


def away(error: psycopg.Error) -> str:
    """Why a book could not be asked."""
    return f"the book cannot be asked which releases it has: {str(error).strip().splitlines()[0]}"
