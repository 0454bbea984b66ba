"""The roles of a book: what each may do there, the script that creates them, and what is missing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Literal

import psycopg
from psycopg import sql

MIGRATE = "penstock_migrate"
"""Owns the schemas and all that migrations create."""
PIPELINE = "penstock_pipeline"
"""Publishes, releases, rolls back, retires, and keeps up the journal."""
SERVICE = "penstock_service"
"""Looks up, and journals."""
READER = "penstock_reader"
"""Reads everything: status, verify, releases, card, replay, doctor, and analysts."""
REPLICATED_READER = "replicated_reader"
"""Reads the schema `replicated` alone; older than the others."""
READERS = (PIPELINE, SERVICE, READER, REPLICATED_READER)
"""Who may read every replicated table."""
DUTIES = {PIPELINE: "publish and release", SERVICE: "serve", READER: "read", MIGRATE: "migrate"}
SCRIPT = Path(__file__).parent / "sql" / "roles.sql"

_SCHEMAS = {"app": (PIPELINE, SERVICE, READER), "replicated": READERS}
_TABLES = {
    "app.migration": {PIPELINE: "SELECT", SERVICE: "SELECT", READER: "SELECT"},
    "app.release": {PIPELINE: "SELECT INSERT", SERVICE: "SELECT", READER: "SELECT"},
    "app.current_release": {PIPELINE: "SELECT INSERT UPDATE", SERVICE: "SELECT", READER: "SELECT"},
    "app.former_contract": {PIPELINE: "SELECT", SERVICE: "SELECT", READER: "SELECT"},
    "app.origin": {PIPELINE: "SELECT", SERVICE: "SELECT INSERT", READER: "SELECT"},
    "app.prediction": {PIPELINE: "SELECT", SERVICE: "SELECT INSERT", READER: "SELECT"},
    "app.latest_answer": {PIPELINE: "SELECT", SERVICE: "SELECT INSERT UPDATE", READER: "SELECT"},
    "app.journal": {PIPELINE: "SELECT", READER: "SELECT"},
    "replicated.current": {
        PIPELINE: "SELECT INSERT UPDATE",
        SERVICE: "SELECT",
        READER: "SELECT",
        REPLICATED_READER: "SELECT",
    },
    "replicated.publication": {PIPELINE: "SELECT INSERT", READER: "SELECT", REPLICATED_READER: "SELECT"},
    "replicated.physical_table": {PIPELINE: "SELECT INSERT DELETE", READER: "SELECT", REPLICATED_READER: "SELECT"},
}
_FUNCTIONS = {
    "app.prepare_journal(integer)": (PIPELINE,),
    "app.drop_oldest_journal_day(integer)": (PIPELINE,),
    "app.delete_old_answers(integer, integer)": (PIPELINE,),
}

Kind = Literal["SCHEMA", "TABLE", "FUNCTION"]


@dataclass(frozen=True)
class Grant:
    """One privilege on one thing for one role."""

    role: str
    privilege: str
    kind: Kind
    thing: str

    @property
    def sql(self) -> str:
        """The statement."""
        return f"GRANT {self.privilege} ON {self.kind} {self.thing} TO {self.role};"


def grants() -> Iterator[Grant]:
    """All that the roles need besides CONNECT and TEMPORARY, what they own, and SELECT on replicated tables."""
    for schema, names in _SCHEMAS.items():
        yield from (Grant(name, "USAGE", "SCHEMA", schema) for name in names)
    yield Grant(PIPELINE, "CREATE", "SCHEMA", "replicated")
    for table, privileges in _TABLES.items():
        for name, listed in privileges.items():
            yield from (Grant(name, privilege, "TABLE", table) for privilege in listed.split())
    for function, names in _FUNCTIONS.items():
        yield from (Grant(name, "EXECUTE", "FUNCTION", function) for name in names)


def script() -> str:
    """The SQL that creates the roles in a book and grants what they need; it can be run again."""
    names = (MIGRATE, *READERS)
    return (
        SCRIPT.read_text()
        .replace("{roles}", ", ".join(f"'{name}'" for name in names))
        .replace("{readers}", ", ".join(READERS))
        .replace("{grants}", "\n".join(_guarded(list(of_one)) for _, of_one in groupby(grants(), _thing)))
    )


def grant_missing(connection: psycopg.Connection) -> None:
    """Grant what the existing roles lack in a book that the script prepared; `connection` owns what is granted."""
    row = connection.execute(
        "SELECT FROM pg_namespace WHERE nspname = 'app' AND nspowner = to_regrole(%s)", (MIGRATE,)
    ).fetchone()
    if row is None:
        return
    there = {name for (name,) in connection.execute("SELECT rolname FROM pg_roles")}
    for thing, of_one in groupby(grants(), _thing):
        if connection.execute(f"SELECT {_EXISTS[thing[0]]}".encode(), (thing[1],)).fetchone() != (True,):
            continue
        for grant in of_one:
            if grant.role in there and not _holds(connection, grant.role, grant):
                connection.execute(grant.sql.encode())


@dataclass(frozen=True)
class Rights:
    """What the connected role may do in a book: the roles of the script that it is a member of, and what it lacks to
    do what each of them does."""

    user: str
    member_of: Sequence[str]
    missing: Mapping[str, Sequence[str]]

    @property
    def duties(self) -> Sequence[str]:
        """What it may do, in words."""
        return [DUTIES[name] for name, lacks in self.missing.items() if not lacks]

    @property
    def lacking(self) -> Sequence[str]:
        """What it lacks for the roles that it is a member of; for reading where it is a member of none."""
        wanted = self.member_of or (READER,)
        return [lack for name in wanted for lack in self.missing.get(name, ())]


def rights(connection: psycopg.Connection) -> Rights:
    """What the connected role may do, in a book of this version."""
    user = connection.info.user
    groups = [name for (name,) in connection.execute(_GROUPS, ([MIGRATE, *READERS],))]
    lacked = list(_lacked(connection, user))
    missing = {name: [grant.sql for grant in lacked if grant.role == name] for name in (PIPELINE, SERVICE, READER)}
    for name in (SERVICE, READER):
        if not missing[name]:
            unread = connection.execute(_UNREAD)
            missing[name] = [f"GRANT SELECT ON TABLE {thing} TO {name};" for (thing,) in unread]
    if not missing[PIPELINE]:
        missing[PIPELINE] = [f"ownership of {thing}" for (thing,) in connection.execute(_FOREIGN_TABLES)]
    missing[MIGRATE] = [f"ownership of {thing}" for thing in not_owned(connection)]
    return Rights(user, sorted(groups), missing)


def not_owned(connection: psycopg.Connection) -> list[str]:
    """What the connected role would have to own to migrate a book of any version, and does not."""
    return [thing for (thing,) in connection.execute(_NOT_OWNED)]


def lacking_for_schemas(connection: psycopg.Connection) -> str:
    """What the connected role lacks to create the schemas of a book; empty if it may."""
    asked = "SELECT has_database_privilege(current_database(), 'CREATE')"
    may = connection.execute(asked.encode()).fetchone() == (True,)
    return "" if may else "CREATE on its database, for the schemas"


def lacking_for_dagster(connection: psycopg.Connection) -> str:
    """What the connected role lacks to create the tables of Dagster's storage; empty if it may, or they are there."""
    asked = "SELECT to_regclass('runs') IS NOT NULL OR has_schema_privilege(current_schema(), 'CREATE') IS TRUE"
    may = connection.execute(asked.encode()).fetchone() == (True,)
    return "" if may else "CREATE on its schema, for Dagster's tables"


def grant_for_dagster(user: str) -> str:
    """The statement that lets a role create the tables of Dagster's storage."""
    return f"GRANT CREATE ON SCHEMA public TO {user};"


def hand_over(connection: psycopg.Connection, relation: sql.Identifier) -> None:
    """Let the pipeline's role own a new relation of `replicated`, whoever of its members published it, and the readers
    read it: as far as the book has these roles."""
    rows = connection.execute(_TAKERS, {"owner": PIPELINE, "readers": list(READERS)}).fetchall()
    if any(owns for _, owns in rows):
        connection.execute(sql.SQL("ALTER TABLE {} OWNER TO {}").format(relation, sql.Identifier(PIPELINE)))
    if rows:
        names = sql.SQL(", ").join(sql.Identifier(name) for name, _ in rows)
        connection.execute(sql.SQL("GRANT SELECT ON {} TO {}").format(relation, names))


_GROUPS = """SELECT rolname FROM pg_roles
    WHERE rolname = ANY(%s) AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = session_user)
        AND pg_has_role(session_user, oid, 'USAGE')"""
_NOT_OWNED = """SELECT 'schema ' || nspname FROM pg_namespace
    WHERE nspname IN ('app', 'replicated') AND NOT pg_has_role(nspowner, 'USAGE')
    UNION ALL SELECT 'table ' || oid::regclass FROM pg_class
    WHERE relnamespace = 'app'::regnamespace AND relkind IN ('r', 'p', 'v') AND NOT pg_has_role(relowner, 'USAGE')"""
_RELATIONS = "SELECT c.oid::regclass FROM pg_class c WHERE c.relnamespace = 'replicated'::regnamespace AND c.relname IN"
_FOREIGN_TABLES = f"""{_RELATIONS} (
    SELECT physical FROM replicated.physical_table UNION ALL SELECT delta FROM replicated.physical_table
    UNION ALL SELECT table_name FROM replicated.current) AND NOT pg_has_role(c.relowner, 'USAGE')"""
_UNREAD = f"""{_RELATIONS} (
    SELECT physical FROM replicated.current UNION ALL SELECT table_name FROM replicated.current)
    AND NOT has_table_privilege(c.oid, 'SELECT')"""
_TAKERS = """SELECT rolname, rolname = %(owner)s AND has_schema_privilege(oid, 'replicated', 'CREATE')
        AND pg_has_role(current_user, oid, 'USAGE')
    FROM pg_roles WHERE rolname = ANY(%(readers)s) AND has_schema_privilege(oid, 'replicated', 'USAGE')"""


_EXISTS = {
    "SCHEMA": "to_regnamespace(%s) IS NOT NULL",
    "TABLE": "to_regclass(%s) IS NOT NULL",
    "FUNCTION": "to_regprocedure(%s) IS NOT NULL",
}


def _thing(grant: Grant) -> tuple[Kind, str]:
    return grant.kind, grant.thing


def _guarded(of_one: Sequence[Grant]) -> str:
    """The grants on one thing, for the script."""
    exists = _EXISTS[of_one[0].kind].replace("%s", f"'{of_one[0].thing}'")
    statements = "".join(f"        {grant.sql}\n" for grant in of_one)
    return f"    IF {exists} THEN\n{statements}    END IF;"


def _lacked(connection: psycopg.Connection, user: str) -> Iterator[Grant]:
    """The grants that a role lacks. Where it may not use a schema, Postgres says nothing of what is in it."""
    closed = set()
    for grant in grants():
        if grant.thing.split(".")[0] in closed or not _holds(connection, user, grant):
            yield grant
            if grant.privilege == "USAGE":
                closed.add(grant.thing)


def _holds(connection: psycopg.Connection, role: str, grant: Grant) -> bool:
    check = f"SELECT has_{grant.kind.lower()}_privilege(%s, %s, %s)"
    return connection.execute(check.encode(), (role, grant.thing, grant.privilege)).fetchone() == (True,)
