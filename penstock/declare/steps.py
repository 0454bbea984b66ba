"""The steps that bring tables into the books, by the names of their assets and checks in Dagster."""

import unicodedata
from collections.abc import Mapping, Sequence

from penstock.declare.preparation import PREPARED, Preparation, in_order
from penstock.declare.table import ReplicatedTable

REPLICATION_JOB = "replicate_tables"
"""One job for all tables, of which each run takes some: Dagster goes over all assets of a project for each job."""
SHAPE, VERIFIED = "shape", "verified"
BOOKS = ("test", "prod")


RAW = "warehouse/"


def raw_path(table: str) -> list[str]:
    """The asset of a raw table in Dagster, whose names have letters of ASCII, digits, `_` and `-`: `Fuß` is `Fu_df`."""
    letters = (one for one in unicodedata.normalize("NFKD", table) if not unicodedata.combining(one))
    plain = (one if one.isalnum() or one in "_-" else "_" for one in letters)
    return ["warehouse", "".join(one if one.isascii() else f"_{ord(one):x}" for one in plain)]


def asset_path(step: str) -> list[str]:
    """The asset of a step in Dagster. That of a dbt model is as dagster-dbt names it."""
    return raw_path(step.removeprefix(RAW)) if step.startswith(RAW) else step.removeprefix("dbt/").split("/")


def steps(tables: Sequence[ReplicatedTable], preparations: Mapping[str, Preparation]) -> list[str]:
    """The assets that prepare, extract and publish the tables, each once."""
    of_tables = [f"{step}/{table.name}" for table in tables for step in ("snapshot", *BOOKS)]
    return list(
        dict.fromkeys([*of_tables, *prepared_steps([of for table in tables for of in table.after], preparations)])
    )


def prepared_steps(named: Sequence[str], preparations: Mapping[str, Preparation]) -> list[str]:
    """The assets of the preparations among these steps, and of all that these read."""
    waited_for = [step.removeprefix(PREPARED) for step in named if step.startswith(PREPARED)]
    return [PREPARED + one.name for one in in_order(waited_for, preparations)]


def checks(tables: Sequence[ReplicatedTable], preparations: Mapping[str, Preparation]) -> list[tuple[str, str]]:
    """The asset and name of each check of these steps, the tests of what is prepared among them."""
    prepared = [step for step in steps(tables, preparations) if step.startswith(PREPARED)]
    tests = [(step, test) for step in prepared for test in preparations[step.removeprefix(PREPARED)].tests]
    return tests + [
        (f"{step}/{table.name}", SHAPE if step == "snapshot" else VERIFIED)
        for table in tables
        for step in ("snapshot", *BOOKS)
    ]
