"""The SQL of the journal: how a batch of answers is written, and how one is read back."""

from typing import Literal

JOINT = b"\x1f"
"""Between the texts of a batch, each bound as one value."""

# $1 to $4 are of the whole batch. Each of the others holds one value of all answers, joined: to encode an array takes
# longer, in Python and per value, than to split one value takes in Postgres. JSON and request ids hold no JOINT.
_NEW = """new AS MATERIALIZED (
    SELECT n, id, substring($6::bytea FROM (n * 64 - 63)::int FOR 16) AS entity,
           substring($6 FROM (n * 64 - 47)::int FOR 16) AS input, substring($6 FROM (n * 64 - 31)::int FOR 16) AS rows,
           substring($6 FROM (n * 64 - 15)::int FOR 16) AS features,
           asked_at, request, looked_up, outcome, request_id{also}
    FROM unnest(string_to_array($5::text, ',')::uuid[], string_to_array($7::text, ',')::timestamptz[],
                string_to_array(convert_from($8::bytea, 'UTF8'), chr(31)),
                string_to_array(convert_from($9::bytea, 'UTF8'), chr(31)),
                string_to_array(convert_from($10::bytea, 'UTF8'), chr(31)),
                string_to_array($11::text, chr(31)){more})
        WITH ORDINALITY AS a(id, asked_at, request, looked_up, outcome, request_id{also}, n)
)"""
# Rows are taken in the order of their entity, so that two replicas never wait for each other.
_COUNTS = """counts AS (
    INSERT INTO app.latest_answer AS stored (model, entity, id, replaced, input, looked_up, release, origin, outcome)
    SELECT $1, entity, id, {seen}, input, rows, $2, $3, outcome FROM new WHERE {where} ORDER BY entity
    ON CONFLICT (model, entity) DO UPDATE SET
        id = excluded.id, replaced = stored.id, input = excluded.input, looked_up = excluded.looked_up,
        release = excluded.release, origin = excluded.origin, outcome = excluded.outcome
    WHERE {counts}
    RETURNING entity
)"""
_JOURNALED = """journaled AS (
    INSERT INTO app.prediction (id, model, entity, asked_at, answered_at, request, looked_up, features, outcome,
                                origin, request_id)
    SELECT id, $1, entity, asked_at, $4, request, looked_up, features, outcome, $3, request_id
    FROM new WHERE {which}
)"""
# As a truth value and not as a condition, so that it is answered by hashing and never planned as a join. Where all
# count, as nearly always, none is looked for.
_COUNTING = "((SELECT count(*) FROM counts) = length($6) / 64 OR new.entity IN (SELECT entity FROM counts)) IS"
_SAME = {
    "exact": "stored.input = {0}.input AND stored.release = {1} AND stored.looked_up = {0}.{2}",
    "input": "stored.input = {0}.input",
}

REGISTER = """
WITH made AS (
    INSERT INTO app.origin (digest, model, release, artifact, snapshots) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (digest) DO NOTHING RETURNING id
)
SELECT id FROM made UNION ALL SELECT id FROM app.origin WHERE digest = $1
"""

READ = """
SELECT p.id::text, p.model, asked_at, answered_at, request, looked_up, features, outcome, o.release, o.artifact,
       o.snapshots, request_id
FROM app.prediction p JOIN app.origin o ON o.id = p.origin
"""


def write_seen(*, relaxed: bool) -> str:
    """Journal what was made after a look at the stored answers: gives the entities whose answers count.

    An answer counts only where the stored answer about its entity is still the one that was seen ($12); $13 marks the
    one per entity that becomes the stored one. Relaxed journals every answer, since it has been given already.
    """
    parts = (
        _NEW.format(more=", $12::uuid[], $13::bool[]", also=", seen, last"),
        _COUNTS.format(seen="seen", where="last", counts="stored.id = excluded.replaced"),
        _JOURNALED.format(which="true" if relaxed else f"{_COUNTING} TRUE"),
    )
    return f"WITH {', '.join(parts)}\nSELECT entity FROM counts"


def write_at_once(unmoved: str, policy: Literal["exact", "input"]) -> str:
    """Journal what was made without looking first: at most one answer for each entity, none if a pointer has moved.

    Gives those which do not count: their place from 1, `unmoved`, and, where the question is an unchanged one, the
    stored answer as `id, outcome, release, snapshots`; nulls where another replica has just answered the same.
    """
    same = _SAME[policy]
    parts = (
        _NEW.format(more="", also=""),
        _COUNTS.format(
            seen="NULL::uuid",
            where=unmoved,
            counts=f"NOT ({same.format('excluded', 'excluded.release', 'looked_up')})",
        ),
        _JOURNALED.format(which=f"{_COUNTING} TRUE"),
    )
    return (
        f"WITH {', '.join(parts)}\n"
        f"SELECT new.n, {unmoved}, stored.id::text, stored.outcome, o.release, o.snapshots FROM new\n"
        f"LEFT JOIN app.latest_answer stored ON stored.model = $1 AND stored.entity = new.entity\n"
        f"    AND {same.format('new', '$2', 'rows')}\n"
        f"LEFT JOIN app.origin o ON o.id = stored.origin\n"
        f"WHERE {_COUNTING} NOT TRUE"
    )
