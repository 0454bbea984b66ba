"""A model of the dev book: its newest candidate, over lookups in the warehouse itself. Nothing is journaled."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime

import numpy as np

from penstock.contract.columns import request_columns
from penstock.contract.contract import Contract
from penstock.errors import ContractError, PenstockError
from penstock.journal.answers import AnswerForm, Ids, PredictionEncoder
from penstock.journal.predictions import form_of
from penstock.lookups.statement import LookupResult
from penstock.serving.answering.batching import Batch, Call
from penstock.serving.answering.decoding import Requests
from penstock.serving.answering.plan import without_row
from penstock.serving.answering.predictor import faults_of
from penstock.serving.answering.refusing import RequestRefusals, answer_faults
from penstock.serving.answering.state import Release
from penstock.serving.http.problems import unavailable
from penstock.serving.models.connections import Connections
from penstock.serving.models.served_model import ServedModel

NO_RELEASE = 0
"""What an answer names where no release has made it. Releases are counted from 1."""
LookUp = Callable[[Requests], LookupResult]

log = logging.getLogger("penstock.serve")


class DirectModel(ServedModel):
    """`look_up` finds the rows of requests in the warehouse; it may wait for long, and is called in a thread."""

    def __init__(
        self, contract: Contract, connections: Connections, look_up: LookUp, now: Callable[[], datetime]
    ) -> None:
        super().__init__(contract, connections, now)
        self._look_up = look_up
        self._ids = Ids()
        self.trouble = f"no candidate yet: `penstock train {contract.model}`"

    @property
    def journals(self) -> bool:
        """See `ServedModel.journals`."""
        return False

    @property
    def ready(self) -> bool:
        """See `ServedModel.ready`."""
        return self.release is not None

    def start(self) -> None:
        """Nothing runs beside the requests."""

    def _renew(self) -> None:
        self.trouble = ""

    async def answers(self, requests: Requests, *, is_array: bool) -> list[bytes]:
        """See `ServedModel.answers`."""
        release = self.release
        if release is None:
            raise unavailable("not-ready", f"Model {self.contract.model!r}: {self.trouble}.", 5)
        call = Call(requests, asyncio.get_running_loop().create_future(), is_array)
        try:
            return await asyncio.to_thread(self._answers, release, requests)
        except RequestRefusals as refused:
            Batch([call]).refuse(refused.faults)
            return await call.answers
        except ContractError:
            raise
        except PenstockError as error:
            log.warning("the warehouse does not answer: %s", error)
            raise unavailable("warehouse-away", f"No prediction was made: {error}", 5) from None

    def _answers(self, release: Release, requests: Requests) -> list[bytes]:
        """Look up and predict; RequestRefusals for requests that cannot be answered."""
        contract, artifact = self.contract, release.artifact
        columns = request_columns(contract, requests.decoded)
        found = self._look_up(requests)
        if lost := without_row(contract, found):
            raise RequestRefusals(faults_of(contract, artifact, requests, columns, found, lost))
        vectors = contract.vectors(columns | found.columns)
        try:
            predicted = artifact.predict(vectors)
        except ContractError:
            refusals = faults_of(contract, artifact, requests, columns, found, {})
            if not refusals:
                raise
            raise RequestRefusals(refusals) from None
        if not np.isfinite(predicted).all():
            raise RequestRefusals(answer_faults(predicted))
        encode = PredictionEncoder(form_of(contract, artifact))
        predictions = encode(predicted, found.missing)
        answers = AnswerForm(NO_RELEASE, b"{}").new(self._ids(requests.size), predictions)
        said = b',"book":"dev","artifact":"%b"}' % release.digest.encode()
        return [answer[:-1] + said for answer in answers]
