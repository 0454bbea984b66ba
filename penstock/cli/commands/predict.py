"""`penstock predict`: ask the running service."""

import sys

import click
import msgspec

from penstock import settings
from penstock.client import Client, ServiceError
from penstock.errors import PenstockError
from penstock.settings import API_KEY

SECONDS = 30.0
REMEDIES = {0: "Run `penstock up`.", 401: "Set PENSTOCK_API_KEY."}


@click.command("predict", epilog="Example: penstock requests flight_delay --count 1 | penstock predict flight_delay -")
@click.argument("model")
@click.argument("file", type=click.File("rb"), default="-")
@click.option("--key", envvar=API_KEY, default="", help="API key, or PENSTOCK_API_KEY.")
@click.option("--json", "as_json", is_flag=True, help="Print one answer a line.")
def command(model: str, file: object, key: str, as_json: bool) -> None:
    """Ask the running service for predictions of MODEL.

    FILE (or - for standard input) holds one JSON request, an array of them, or one request a line.
    """
    url = settings.service_url()
    requests, many = _requests(file.read())  # type: ignore[attr-defined]  # click.File gives a binary file
    with Client(url, model, key=key, timeout=SECONDS, repeat=False) as client:
        try:
            answers = client.predict_many(requests) if many else [client.predict(requests[0])]
        except ServiceError as error:
            thing, todo = f"{url}/models/{model}/predict", REMEDIES.get(error.status, "")
            raise PenstockError(thing, expected=error.expected, found=error.found, todo=todo) from None
    for answer in answers:
        text = msgspec.json.encode(answer)
        click.echo(text if as_json or not sys.stdout.isatty() else msgspec.json.format(text, indent=2))


def _requests(text: bytes) -> tuple[list[msgspec.Raw], bool]:
    """The requests as they stand there, and whether they are several: an array, or one a line.

    What is no JSON is sent as one request, so that the service says what is wrong with it.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    try:
        document = msgspec.json.decode(text, type=msgspec.Raw)
    except msgspec.DecodeError:
        return [msgspec.Raw(line) for line in lines] or [msgspec.Raw(text)], len(lines) > 1
    if bytes(document).startswith(b"["):
        return msgspec.json.decode(document, type=list[msgspec.Raw]), True
    return [document], False
