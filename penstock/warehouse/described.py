"""What the kinds share whose server describes a query before it runs: one session reads, prepares and cancels."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from threading import Event
from typing import Any, ClassVar, Protocol, runtime_checkable

import pyarrow as pa

from penstock.sql_text import quotes_doubled, statements
from penstock.warehouse.column import Column, as_described, natural_query, ordered_query, schema_of
from penstock.warehouse.estimate import SORTS, Estimate, untold
from penstock.warehouse.interface import WarehouseError
from penstock.warehouse.query_text import bind
from penstock.warehouse.reading import Query, reading


class Session(Protocol):
    """An open connection. Its methods raise what its driver raises."""

    def columns(self, query: str) -> list[Column]:
        """The columns of a query, by the server's description, without running it."""

    def rows(self, statement: str, schema: pa.Schema) -> Iterable[pa.RecordBatch]:
        """Run a query, whose rows the server described by `schema`; it may wait for long."""

    def cost(self, statement: str) -> str:
        """What the server says that a query would read, without running it; empty where it does not say."""

    def run(self, statement: str) -> None:
        """Run a statement without rows; it may wait for long."""

    def cancel(self) -> None:
        """End in the server what runs, called from another thread, also when nothing runs yet or any more."""


@runtime_checkable
class StateSession(Session, Protocol):
    """A session whose server says how far a query is."""

    def state(self) -> str:
        """What the server says of the query that runs, called from another thread."""


@dataclass(frozen=True)
class DescribedWarehouse(ABC):
    """A warehouse behind a `Session`.

    `timeout` is in seconds for one query; 0 is none. Once `ended` is set by another thread, queries end too.
    """

    DIALECT: ClassVar[str]
    BACKSLASHES: ClassVar[bool] = False
    """Whether a backslash in a text escapes what is behind it."""
    url: str
    timeout: float = 0.0
    ended: Event = field(default_factory=Event, compare=False)

    @abstractmethod
    def session(self) -> AbstractContextManager[Session]:
        """A new connection, in UTC; WarehouseError where the server cannot be reached."""

    @abstractmethod
    def literal(self, value: Any) -> str:
        """A value in the SQL of this kind."""

    @abstractmethod
    def refusals(self) -> tuple[type[Exception], ...]:
        """What the driver raises where the server refuses a statement."""

    def spoken(self, text: str) -> str:
        """A project's text as this kind reads it; it still has `:name` for the values that are bound."""
        return text

    @property
    def dialect(self) -> str:
        """The name of its SQL."""
        return self.DIALECT

    @contextmanager
    def batches(
        self,
        query: str,
        bound: Mapping[str, Any] | None = None,
        *,
        key: Sequence[str] = (),
        hash_joins: bool = False,  # noqa: ARG002
    ) -> Iterator[pa.RecordBatchReader]:
        """See `Warehouse.batches`; WarehouseError with the server's own words if the query is refused."""
        with self.session() as session:
            text = self._text(query, bound)
            columns = self._described(session, text, query)
            statement, schema = ordered_query(text, columns, key), schema_of(columns)

            def start() -> pa.RecordBatchReader:
                return pa.RecordBatchReader.from_batches(schema, as_described(session.rows(statement, schema), schema))

            with reading(self._query(session, start, query, "query")) as rows:
                yield rows

    def natural(self, query: str, bound: Mapping[str, Any] | None = None) -> str:
        """See `Warehouse.natural`. ColumnTypesError names every column whose type nothing can hold."""
        with self.session() as session:
            return natural_query(self._read(query), self._described(session, self._text(query, bound), query))

    def estimate(self, query: str, bound: Mapping[str, Any] | None = None, *, key: Sequence[str] = ()) -> Estimate:
        """See `Planner.estimate`. No kind tells the rows of a result."""
        with self.session() as session:
            text = self._text(query, bound)
            try:
                cost = session.cost(ordered_query(text, self._described(session, text, query), key))
            except WarehouseError as error:
                return untold(error)
            except self.refusals() as error:
                return untold(self.said(error))
        return Estimate(sorts=SORTS if key else "", cost=cost)

    def prepare(self, script: str) -> None:
        """See `Warehouse.prepare`: one statement after the other. Each is all or nothing, the script is not."""
        with self.session() as session:

            def start() -> pa.RecordBatchReader:
                for statement in statements(self._read(script)):
                    session.run(self.spoken(statement))
                return pa.RecordBatchReader.from_batches(pa.schema([]), [])

            with reading(self._query(session, start, script, "preparation")):
                pass

    def _query(self, session: Session, start: Any, text: str, what: str) -> Query:
        def explain(error: Exception) -> Exception:
            return self._refused(error, text, what) if isinstance(error, self.refusals()) else error

        state = session.state if isinstance(session, StateSession) else str
        return Query(start, session.cancel, explain, self.timeout, self.ended, what, state=state)

    def _text(self, query: str, bound: Mapping[str, Any] | None) -> str:
        values = dict(bound or {})
        return bind(self.spoken(self._read(query)), values, lambda name: self.literal(values[name]))

    def _read(self, text: str) -> str:
        return quotes_doubled(text) if self.BACKSLASHES else text

    def _described(self, session: Session, text: str, query: str) -> list[Column]:
        try:
            return session.columns(text)
        except self.refusals() as error:
            raise self._refused(error, query, "query") from None

    def _refused(self, error: Exception, text: str, what: str) -> WarehouseError:
        return WarehouseError(what, found=self.said(error), todo=f"The {what} was: {text.strip()}")

    def said(self, error: Exception) -> str:
        """The server's own words."""
        return str(error).strip()
