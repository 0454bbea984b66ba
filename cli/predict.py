"""`penstock predict`: ask the running service."""

import sys
import urllib.error
import urllib.request

import click
import msgspec

from model_tools.errors import PenstockError
from resources import settings as environment

SECONDS = 30.0


@click.command("predict", epilog="Example: penstock requests flight_delay --count 1 | penstock predict flight_delay -")
@click.argument("model")
@click.argument("file", type=click.File("rb"), default="-")
@click.option("--key", envvar="PENSTOCK_API_KEY", default="", help="API key, or PENSTOCK_API_KEY.")
@click.option("--json", "as_json", is_flag=True, help="Print one answer a line, as the service sent it.")
def command(model: str, file: object, key: str, as_json: bool) -> None:
    """Ask the running service for predictions of MODEL.

    FILE (or - for standard input) holds one JSON request, an array of them, or one request a line.
    """
    settings = environment.load()
    url = f"http://{settings.http_host}:{settings.http_port}/models/{model}/predict"
    body = _body(file.read())  # type: ignore[attr-defined]  # click.File gives a binary file
    headers = {"Content-Type": "application/json"} | ({"X-API-Key": key} if key else {})
    request = urllib.request.Request(url, data=body, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as response:  # noqa: S310
            answers = msgspec.json.decode(response.read())
    except urllib.error.HTTPError as error:
        raise PenstockError(url, found=f"{error.code} {_detail(error.read())}") from None
    except (urllib.error.URLError, TimeoutError) as error:
        raise PenstockError(url, expected="an answer", found=str(error), todo="Run `penstock up`.") from None
    for answer in answers if isinstance(answers, list) else [answers]:
        text = msgspec.json.encode(answer)
        click.echo(text if as_json or not sys.stdout.isatty() else msgspec.json.format(text, indent=2))


def _body(text: bytes) -> bytes:
    """One document as it is; several lines as one array."""
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) < 2:
        return text
    try:
        msgspec.json.decode(text)
    except msgspec.DecodeError:
        return b"[" + b",".join(lines) + b"]"
    return text


def _detail(body: bytes) -> str:
    try:
        return str(msgspec.json.decode(body)["detail"])
    except (msgspec.DecodeError, KeyError, TypeError):
        return body[:200].decode(errors="replace")
