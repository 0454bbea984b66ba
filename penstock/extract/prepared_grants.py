"""Whoever may read a prepared table may read it when it is made again: its grants, given to the table that replaces it.

| kind | how |
|---|---|
| Postgres | the statements read the grants and repeat them, in the transaction that renames the table |
| Redshift | `SVV_RELATION_PRIVILEGES` is read before that transaction, which repeats what it lists |
| Snowflake | `COPY GRANTS` |
| all others | nothing is done: grants are those of a name (ClickHouse), or the server replaces a table as it does |
"""

import logging

from penstock.postgres.quoting import literal
from penstock.warehouse.interface import Warehouse, WarehouseError, quoted, quoted_text

log = logging.getLogger("penstock.extract")

COPIED = {"snowflake": " COPY GRANTS"}
"""Dialect -> what stands before AS. https://docs.snowflake.com/en/sql-reference/sql/create-table"""
_REPEATED = """DO $grants$
DECLARE one record;
BEGIN
    FOR one IN SELECT privilege_type, is_grantable,
            CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END AS who
        FROM pg_class, aclexplode(relacl) WHERE oid = to_regclass({table})
    LOOP
        EXECUTE 'GRANT ' || one.privilege_type || ' ON ' || {draft} || ' TO ' || one.who
            || CASE WHEN one.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END;
    END LOOP;
END $grants$;"""
_LISTED = """SELECT privilege_type, identity_name, identity_type, admin_option FROM svv_relation_privileges
    WHERE namespace_name = {schema} AND relation_name = {name}"""
_GRANTEES = {"user": "{}", "group": "GROUP {}", "role": "ROLE {}", "public": "PUBLIC"}


def repeated_grants(warehouse: Warehouse, schema: str, name: str, draft: str) -> list[str]:
    """The statements that give the grants of a table to its `draft`, which is an SQL name."""
    if warehouse.dialect == "postgresql":
        return [_REPEATED.format(table=literal(f"{schema}.{quoted(name)}"), draft=literal(draft))]
    if warehouse.dialect != "redshift":
        return []
    try:
        with warehouse.batches(_LISTED.format(schema=quoted_text(schema), name=quoted_text(name))) as batches:
            found = batches.read_all().to_pylist()
    except WarehouseError as error:
        log.warning("The grants of %s.%s are not repeated, because they are not known: %s", schema, name, error.found)
        return []
    return [_grant(draft, *row.values()) for row in found]


def _grant(draft: str, privilege: str, who: str | None, kind: str, grantable: bool) -> str:
    to = _GRANTEES[kind].format(quoted(who or ""))
    return f"GRANT {privilege} ON {draft} TO {to}{' WITH GRANT OPTION' if grantable else ''};"
