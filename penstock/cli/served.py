"""What the running service serves of a model, and what a release would change there: asked before it is made."""

import msgspec

from penstock.client import Client, ModelState, ServiceError
from penstock.project import NO_MODEL
from penstock.serving.deploying.history import History
from penstock.settings import API_KEY, api_key

ASK_SECONDS = 2.0


class Comparison(msgspec.Struct, frozen=True):
    """A release beside the running service. `at_once`: the service serves it as soon as it is current; None where the
    service could not be asked. `sentence` says what will happen."""

    at_once: bool | None
    sentence: str

    def current(self, model: str, release: int, how: str) -> str:
        """What to say of PROD when the release has become its current one; `how` is said behind its number."""
        if self.at_once is False:
            return f"PROD's current release of {model} is {release}{how}; the running service does not serve it yet."
        return f"PROD serves release {release} of {model}{how}."


def compare(url: str, deploys: History, model: str, contract: str, what: str = "the release") -> Comparison:
    """Whether the service at a URL can serve a release of this contract; `what` names it in the sentence."""
    try:
        state = _state(url, model)
    except ServiceError as error:
        if error.status == 0:
            return Comparison(None, f"No service answers at {url}: {what} was compared with none.")
        if error.status == 404 or NO_MODEL in error.found:
            return Comparison(False, f"The running service has no code of {model} yet: `penstock deploy` brings it.")
        todo = f" Set {API_KEY}." if error.status == 401 else ""
        return Comparison(None, f"The running service does not say what it serves of {model} ({error.found}).{todo}")
    if state.contract == contract:
        return Comparison(True, f"The running service has this code of {model}, and serves {what} at once.")
    now = f"release {state.release}" if state.release is not None else "no release"
    return Comparison(
        False,
        f"The running service has other code of {model} (contract {state.contract[:12]}, not {contract[:12]}): it goes "
        f"on with {now}, and serves {what} once code that fits is deployed. {_todo(deploys, model, contract)}",
    )


def _state(url: str, model: str) -> ModelState:
    with Client(url, model, key=api_key(), timeout=ASK_SECONDS, repeat=False) as client:
        return client.state()


def _todo(deploys: History, model: str, contract: str) -> str:
    """How code of a contract comes to serve."""
    earlier = deploys.newest(1)
    if earlier and earlier.contracts.get(model) == contract:
        return f"`penstock deploy --back` deploys it: that of deploy {earlier.number}."
    return "`penstock deploy` does that, from a checkout of that code."
