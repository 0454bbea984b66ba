import dagster as dg
import msgspec
from click.testing import CliRunner, Result

from penstock.cli.main import penstock
from penstock.releases.cards import CardStore
from penstock.releases.ledger import current, ledger
from tests.example import MONTH, Example

MODEL = "flight_delay"


def ask(*arguments: str) -> Result:
    return CliRunner().invoke(penstock, ["card", MODEL, *arguments])


def test_the_current_release_is_described_from_its_data(
    materialized: dg.ExecuteInProcessResult, example: Example
) -> None:
    entry = current(example.prod, MODEL)
    assert entry is not None
    text = ask().output

    assert f"Release {entry.release}, {entry.action}" in text
    assert f"{entry.training_snapshot} |" in text
    assert f"On the held-out period {MONTH}" in text
    assert "| scheduled_departure | time without zone | yes |" in text
    assert "| JFK |" in text


def test_the_json_holds_release_importances_and_plot(materialized: dg.ExecuteInProcessResult, example: Example) -> None:
    found = msgspec.json.decode(ask("--release", "1", "--json").output)
    entry = current(example.prod, MODEL)
    assert entry is not None
    card = CardStore(example.settings.artifacts).get(found["card"]["artifact"])

    assert found["release"]["release"] == 1
    released = [one for one in ledger(example.prod, MODEL) if (one.release, one.action) == (1, "release")]
    assert [one.gate["passed"] for one in released] == [True]
    assert card is not None
    assert card.plot.startswith(b"\x89PNG")
    assert max(card.features, key=lambda feature: feature.importance).importance > 0.02
    assert {one.name for one in card.slices} == {"EWR", "JFK", "LGA"}
    assert card.metrics
    assert all(one.low is not None and one.low < one.value < one.high for one in card.metrics)


def test_a_version_that_never_was_is_refused_with_what_to_do(materialized: dg.ExecuteInProcessResult) -> None:
    result = ask("--release", "99")

    assert result.exit_code != 0
    assert "penstock releases flight_delay" in str(result.exception)
