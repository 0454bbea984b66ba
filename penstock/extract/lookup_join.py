"""The join of one lookup inside the warehouse, in the forms that take time linear in the rows of both sides.

| class | for |
|---|---|
| `EqualJoin` | a lookup without `as_of` |
| `AsOfJoin` | a point-in-time lookup, where the warehouse has ASOF JOIN |
| `MatchJoin` | the same, as Snowflake spells it |
| `WindowJoin` | a point-in-time lookup everywhere else: no index is needed, and no subquery runs per row |

A point-in-time lookup joins the newest row that is not later than the asking time, and not older than its `max_age`.
"""

from dataclasses import dataclass
from datetime import timedelta

from penstock.contract.contract import Lookup
from penstock.errors import ContractError
from penstock.warehouse.interface import quoted

ASKED = "penstock_asked"
"""The alias of the rows that ask, in every query that joins."""
INLINES = frozenset({"postgresql"})
"""Dialects that can be told to run a named query at each place that names it. Postgres then reads the table with
several workers, and only the columns of that place. A query with a volatile function runs once all the same."""
QUALIFIES = frozenset({"clickhouse"})
"""Dialects in which `asked.*` names a column `asked.x` where the joined rows have an `x` too."""
EARLIER = {
    "clickhouse": "CAST({instant} AS DateTime64(6)) - toIntervalMicrosecond({microseconds})",
    "snowflake": "DATEADD(microsecond, -{microseconds}, {instant})",
    "bigquery": "{instant} - INTERVAL {microseconds} MICROSECOND",
    "databricks": "{instant} - INTERVAL '{microseconds}' MICROSECOND",
    "trino": "CAST({instant} AS timestamp(6)) - INTERVAL '{seconds}' SECOND",
}
"""An instant or day some microseconds before another, in dialects without `INTERVAL '… microseconds'`."""


def common_table(name: str, query: str, *, inlined: bool = False) -> str:
    """A query with a name, for a WITH clause; `inlined` in a dialect of `INLINES` alone."""
    return f"{name} AS {'NOT MATERIALIZED ' if inlined else ''}(\n{query})"


@dataclass(frozen=True)
class EqualJoin:
    """One lookup as a join by its key. `query` extracts its table, in the dialect of the warehouse, and `inlined` if it
    may run more than once."""

    lookup: Lookup
    query: str
    dialect: str = "duckdb"
    inlined: bool = False

    @property
    def alias(self) -> str:
        """The quoted name of the joined rows."""
        return quoted(f"lookup_{self.lookup.name}")

    @property
    def source(self) -> str:
        """The query as it is joined; where `*` qualifies names that both sides have, under names that are its own."""
        if self.dialect not in QUALIFIES:
            return self.query
        names = [*self.lookup.key, *(self.lookup.as_of or ())[:1], *(one.name for one in self.lookup.columns)]
        listed = ", ".join(f"{quoted(name)} AS {self.theirs(name)}" for name in dict.fromkeys(names))
        return f"SELECT {listed} FROM (\n{self.query}) AS source\n"

    def theirs(self, name: str) -> str:
        """The quoted name of a column of `source`."""
        return quoted(f"penstock {self.lookup.name} {name}" if self.dialect in QUALIFIES else name)

    def common_tables(self) -> list[str]:
        """The common table expressions that `joins` reads; they may read that of the asking rows."""
        return []

    def joins(self) -> list[str]:
        """What follows the asking rows in the FROM clause."""
        return [f"LEFT JOIN (\n{self.source}) AS {self.alias}\n    ON {' AND '.join(self._same_key())}"]

    def column(self, name: str) -> str:
        """SQL of a column of the joined row, null where there is none."""
        return f"{self.alias}.{self.theirs(name)}"

    def _same_key(self) -> list[str]:
        return [
            f"{self.alias}.{self.theirs(ours)} = {ASKED}.{quoted(theirs)}" for ours, theirs in self.lookup.key.items()
        ]

    def _instants(self) -> tuple[str, str]:
        """The quoted time column of the table, and the quoted request field that it must not be later than."""
        known_at, asked_at = self.lookup.as_of or ("", "")
        return self.theirs(known_at), quoted(asked_at)

    def _young_enough(self) -> list[str]:
        """The condition that a joined row is at most `max_age` older than the asking time; none without a `max_age`."""
        if self.lookup.max_age is None:
            return []
        known_at, asked_at = self._instants()
        microseconds = self.lookup.max_age // timedelta(microseconds=1)
        if self.dialect == "trino" and microseconds % 1000:
            raise ContractError(
                f"max_age of lookup {self.lookup.name!r}",
                expected="whole milliseconds, the least interval of a warehouse of the kind 'trino'",
                found=f"{microseconds} microseconds",
            )
        earlier = EARLIER.get(self.dialect, "{instant} - INTERVAL '{microseconds} microseconds'").format(
            instant=f"{ASKED}.{asked_at}", microseconds=microseconds, seconds=f"{microseconds / 1e6:.3f}"
        )
        return [f"{self.alias}.{known_at} >= {earlier}"]


@dataclass(frozen=True)
class AsOfJoin(EqualJoin):
    """One lookup as an ASOF join."""

    def joins(self) -> list[str]:
        """See `EqualJoin.joins`."""
        known_at, asked_at = self._instants()
        conditions = [*self._same_key(), f"{ASKED}.{asked_at} >= {self.alias}.{known_at}"]
        return [f"ASOF LEFT JOIN (\n{self.source}) AS {self.alias}\n    ON {' AND '.join(conditions)}"]

    def column(self, name: str) -> str:
        """See `EqualJoin.column`. The only inequality that an ASOF join takes is that of the instants, so the age is
        asked here."""
        column = super().column(name)
        age = self._young_enough()
        return f"CASE WHEN {age[0]} THEN {column} END" if age else column


@dataclass(frozen=True)
class MatchJoin(AsOfJoin):
    """One lookup as an ASOF join with MATCH_CONDITION, which keeps the rows that ask: there is no LEFT."""

    def joins(self) -> list[str]:
        """See `EqualJoin.joins`."""
        known_at, asked_at = self._instants()
        newest = f"MATCH_CONDITION ({ASKED}.{asked_at} >= {self.alias}.{known_at})"
        return [f"ASOF JOIN (\n{self.source}) AS {self.alias}\n    {newest}\n    ON {' AND '.join(self._same_key())}"]


@dataclass(frozen=True)
class WindowJoin(EqualJoin):
    """One lookup by a window over the instants of both sides.

    - The instants are ordered per key, known ones before asked ones of the same time, and a window carries the newest
      known instant on.
    - That instant is joined back by equality: key and instant are unique in the table.
    """

    def common_tables(self) -> list[str]:
        """`known`, the rows of the table, and `newest`, the newest known instant per key and asking time."""
        known_at, asked_at = self._instants()
        keys = self._places()
        ours = ", ".join(f"{self.theirs(name)} AS {key}" for name, key in zip(self.lookup.key, keys, strict=True))
        theirs = ", ".join(f"{quoted(name)} AS {key}" for name, key in zip(self.lookup.key.values(), keys, strict=True))
        listed = ", ".join(keys)
        return [
            common_table(self._known, self.source, inlined=self.inlined),
            f"""{self._newest} AS (
SELECT {listed}, instant, asks,
    max(known_at) OVER (PARTITION BY {listed} ORDER BY instant, asks ROWS UNBOUNDED PRECEDING) AS known_at
FROM (
    SELECT {ours}, {known_at} AS instant, {known_at} AS known_at, 0 AS asks FROM {self._known}
    WHERE {known_at} IS NOT NULL
    UNION ALL
    SELECT {listed}, instant, NULL, 1 FROM (SELECT DISTINCT {theirs}, {asked_at} AS instant FROM {ASKED}) AS asking
) AS instants)""",
        ]

    def joins(self) -> list[str]:
        """See `EqualJoin.joins`."""
        known_at, asked_at = self._instants()
        keys = zip(self._places(), self.lookup.key.values(), strict=True)
        asking = [f"{self._newest}.{key} = {ASKED}.{quoted(field)}" for key, field in keys]
        asking += [f"{self._newest}.instant = {ASKED}.{asked_at}", f"{self._newest}.asks = 1"]
        known = [*self._same_key(), f"{self.alias}.{known_at} = {self._newest}.known_at", *self._young_enough()]
        return [
            f"LEFT JOIN {self._newest}\n    ON {' AND '.join(asking)}",
            f"LEFT JOIN {self._known} AS {self.alias}\n    ON {' AND '.join(known)}",
        ]

    def _places(self) -> list[str]:
        """Names of the key's columns where both sides are united."""
        return [f"k{place}" for place in range(len(self.lookup.key))]

    @property
    def _known(self) -> str:
        return quoted(f"penstock_known_{self.lookup.name}")

    @property
    def _newest(self) -> str:
        return quoted(f"penstock_newest_{self.lookup.name}")
