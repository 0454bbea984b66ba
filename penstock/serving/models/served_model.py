"""One model inside a replica: what it is served from right now, and why not better."""

from collections.abc import Callable, Mapping
from datetime import datetime

from penstock.contract.contract import Contract
from penstock.errors import PenstockError
from penstock.lookups.sql import tables_of
from penstock.postgres.pointer import Pointers
from penstock.serving.answering.batching import Line
from penstock.serving.answering.decoding import Decoder
from penstock.serving.answering.predictor import Predictor
from penstock.serving.answering.serving import Release, Serving
from penstock.serving.http.problems import unavailable
from penstock.serving.tables.cache import TableCache


class ServedModel:
    """The model's decoder and line, and its current Serving, replaced whole when release or pointers move."""

    def __init__(self, contract: Contract, url: str, now: Callable[[], datetime]) -> None:
        self.contract = contract
        self.contract_digest = contract.digest()
        self.decode = Decoder(contract, now)
        self.predictor = Predictor(contract, self._now_serving, self.use_pointers)
        self.journal = self.predictor.lag
        self.line = Line(url, self.predictor)
        self.tables = TableCache(contract, url, self._renew)
        self.release: Release | None = None
        self.pointers: Pointers = {}
        self.refused: Mapping[str, object] = {}
        """The release that is current in the book and cannot be served, with the reason; empty if none."""
        self.trouble = "no release yet"
        self.serving: Serving | None = None

    def use_release(self, release: Release) -> None:
        """Serve from another release."""
        self.release, self.refused = release, {}
        self._renew()

    def use_pointers(self, pointers: Pointers) -> None:
        """Serve from other snapshots; pointers of tables that the model does not look up in are of no interest."""
        wanted = {table: pointers[table] for table in tables_of(self.contract) if table in pointers}
        if wanted != self.pointers:
            self.pointers = wanted
            self._renew()

    def refuse_release(self, version: int, reason: str) -> None:
        """Keep what is served, and say why it is not the book's current release."""
        self.refused = {"release": version, "reason": reason}
        if self.serving is None:
            self.trouble = f"release {version} cannot be served: {reason}"

    def _renew(self) -> None:
        cached = self.tables.use(self.pointers)
        if self.release is None:
            return
        try:
            self.serving = Serving(self.contract, self.release, self.pointers, cached)
            self.trouble = ""
        except PenstockError as error:
            self.serving, self.trouble = None, str(error)

    def _now_serving(self) -> Serving:
        if self.serving is None:
            raise unavailable("not-ready", f"Model {self.contract.model!r}: {self.trouble}.", 5)
        return self.serving
