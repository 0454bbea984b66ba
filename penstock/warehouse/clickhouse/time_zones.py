"""`AT TIME ZONE` as standard SQL means it. ClickHouse's own keeps the instant and shows it in another zone.

| written | is |
|---|---|
| `CAST(x AS timestamp) AT TIME ZONE 'z'` | the instant at which clocks in `z` show `x` |
| `CAST(x AS timestamptz) AT TIME ZONE 'z'` | what clocks in `z` show at `x`, without a zone |

Where clocks are put back, an hour comes twice: the later one is meant. Where they are put forward, an hour is left out:
its times are read as if clocks had not been put forward yet. DuckDB and Postgres do so too.
"""

import re
from collections.abc import Iterator, Mapping

from penstock.warehouse.interface import WarehouseError

Edit = tuple[int, int, str]
"""What stands from one place of a text to another becomes this."""
_AT_TIME_ZONE = re.compile(r"\s*\bAT\s+TIME\s+ZONE\b", re.IGNORECASE)
_ZONE = re.compile(r"\s*('(?:[^']|'')*')")
_CANDIDATES = (
    "arrayReverseSort([local - toIntervalSecond(timezoneOffset(toTimeZone(local - toIntervalDay(1), {zone}))),"
    " local - toIntervalSecond(timezoneOffset(toTimeZone(local + toIntervalDay(1), {zone})))])"
)
"""The two instants that `local` may be, by the zone's offsets of the day before and after it, the later one first."""
_INSTANT = (
    "arrayMap(local -> arrayConcat(arrayFilter(candidate -> toString(toTimeZone(candidate, {zone})) = toString(local),"
    f" {_CANDIDATES}), {_CANDIDATES})[1], [CAST("
)


def time_zones(text: str, hidden: str, casts: Mapping[int, tuple[int, bool]]) -> Iterator[Edit]:
    """The edits for each `AT TIME ZONE`; WarehouseError for one behind anything but a CAST, or with a computed zone.

    `hidden` is the text without what is in texts, quoted names and comments. `casts` is where a CAST to a time ends ->
    where it begins, and whether its type has a zone.
    """
    for found in _AT_TIME_ZONE.finditer(hidden):
        zone, cast = _ZONE.match(text, found.end()), casts.get(found.start())
        if zone is None or cast is None:
            raise WarehouseError(
                "AT TIME ZONE",
                expected="CAST(… AS timestamp) or CAST(… AS timestamptz) before it and the zone's name behind it:"
                " ClickHouse's own means something else",
                found=text[max(0, found.start() - 40) : found.end() + 30].strip(),
                todo="Write so, or convert by toTimeZone and toDateTime64.",
            )
        begin, zoned = cast
        if zoned:
            yield begin, begin, "toDateTime64(toString(toTimeZone("
            yield found.start(), zone.end(), f", {zone[1]})), 6)"
        else:
            yield begin, begin, _INSTANT.format(zone=zone[1])
            yield found.start(), zone.end(), " AS DateTime64(6, 'UTC'))])[1]"
