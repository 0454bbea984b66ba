"""The journal's tables: what an earlier version wrote is kept, and ids are in the order of time."""

import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import psycopg

from penstock.journal.answers import Ids
from penstock.journal.reading import READ, journal_entry
from penstock.journal.writing import NewEntries
from penstock.postgres.book import Book

FIRST = Path(__file__).parent.parent / "postgres" / "books" / "first.sql"
ANSWERS = (
    '{{"id":"{}","prediction":"late","release":2,"snapshots":{{"t":"a"}},"missing":["x"],'
    '"probabilities":{{"on_time":0.1,"late":0.9}},"unchanged":false}}',
    '{{"id":"{}","prediction":1.5,"release":2,"snapshots":{{"t":"b"}},"missing":[],"unchanged":false}}',
)


def test_predictions_of_an_earlier_version_are_kept_and_read_as_they_were(new_database: Callable[[], str]) -> None:
    ids, book = Ids()(4), Book("test", new_database())
    with book.connect() as connection:
        connection.execute(FIRST.read_bytes())
        for place, id_ in enumerate(ids):
            answer = ANSWERS[place % 2].format(id_)
            connection.execute(
                "INSERT INTO app.prediction VALUES (%s, 'm', %s, now(), now(), '{\"a\":1}', '{\"x\":null}', 'f', %s, 2,"
                " 'sha', %s, 'r')",
                (id_, b"e", answer, '{"t":"a"}' if place % 2 == 0 else '{"t":"b"}'),
            )
        connection.execute(
            "INSERT INTO app.latest_answer VALUES"
            " ('m', 'e', %s, NULL, 'i', 'l', 2, %s), ('m', 'gone', %s, NULL, 'i', 'l', 2, '1')",
            (ids[3], ANSWERS[1].format(ids[3]), uuid.uuid4()),
        )
    book.migrate()
    with book.connect() as connection:
        found = [journal_entry(record) for record in connection.execute(f"{READ} ORDER BY p.id")]
        latest = connection.execute(
            "SELECT l.id::text, o.snapshots, prediction FROM app.latest_answer l JOIN app.origin o ON o.id = l.origin"
        ).fetchall()
        assert connection.execute("SELECT count(*) FROM app.origin").fetchone() == (2,)
        told = connection.execute(
            "SELECT request->>'a', looked_up, prediction->'probabilities'->>'late', release, snapshots->>'t'"
            " FROM app.journal ORDER BY id LIMIT 1"
        ).fetchone()
    assert told == ("1", {"x": None}, "0.9", 2, "a")
    assert [one.id for one in found] == ids
    assert [one.release for one in found] == [2] * 4
    assert bytes(found[0].answer).decode() == (
        f'{{"id":"{ids[0]}","prediction":"late","missing":["x"],"probabilities":{{"on_time":0.1,"late":0.9}},'
        '"release":2,"snapshots":{"t":"a"},"unchanged":false}'
    )
    assert b'"prediction":1.5,"missing":[],"release"' in bytes(found[1].answer)
    assert latest == [(ids[3], '{"t":"b"}', '{"prediction":1.5,"missing":[]}')]


def test_ids_are_of_version_7_different_and_in_the_order_of_time(book: Book) -> None:
    new = Ids()
    began = time.time_ns() // 1_000_000
    made = [id_ for count in (1, 5000, 1, 250) for id_ in new(count)]
    assert len(made) == 5252
    assert made == sorted(set(made))
    for id_ in made[:: len(made) // 50]:
        parsed = uuid.UUID(id_)
        assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
        assert began <= parsed.int >> 80 <= time.time_ns() // 1_000_000 + 5
    with psycopg.connect(book.url) as connection:
        ordered = connection.execute("SELECT id::text FROM unnest(%s::uuid[]) AS a(id) ORDER BY id", (made,)).fetchall()
    assert [row[0] for row in ordered] == made


def test_instants_of_a_batch_are_bound_as_texts_in_utc() -> None:
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    far = timezone(timedelta(hours=23, minutes=59))
    asked_at = [noon, noon, noon.astimezone(far), noon + timedelta(microseconds=1), noon]
    nothing = [b""] * len(asked_at)

    joined = NewEntries([], [], asked_at, nothing, nothing, nothing, []).joined()

    texts = ["2026-01-01T12:00:00+00:00"] * 5
    texts[3] = "2026-01-01T12:00:00.000001+00:00"
    assert joined[2].split(",") == texts
