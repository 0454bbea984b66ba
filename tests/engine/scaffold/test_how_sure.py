"""Intervals and sets of classes through the whole loop: trained, served, replayed, checked on the next period."""

import json
from pathlib import Path
from typing import Any

import pytest

from penstock.testing import System
from tests.engine.scaffold.orders import ANSWER, LOOKUPS, NAMES, tables
from tests.engine.scaffold.test_new import Shop

SURE = ANSWER.replace("list(answer.missing)", "answer.interval or answer.prediction_set")
LEVEL = 0.9
MODELS = {"came_back": "sets", "worth": "interval"}


def trained(shop: Shop, week: str) -> dict[str, Any]:
    done = shop.run("-m", "penstock", "train", "sure", "--period", week, "--json")
    assert done.returncode == 0
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["action"] == "release"
    return report


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize("outcome", MODELS)
def test_what_is_promised_is_answered_replayed_and_checked_on_the_next_period(
    outcome: str, system: System, tmp_path: Path
) -> None:
    system.write_tables(tables())
    shop = Shop(tmp_path / "shop", system)
    names = [outcome if option == "came_back" else option for option in NAMES]
    assert shop.new("sure", *names, *LOOKUPS, "--every", "week").returncode == 0
    declared = shop.root / "assets" / "sure.py"
    text = declared.read_text()
    assert text.count("Model(\n") == 1
    declared.write_text(text.replace("Model(\n", f"Model(\n    {MODELS[outcome]}={LEVEL},\n"))

    first = trained(shop, "2026-W42")["gate"]
    assert first["coverage"]["level"] == LEVEL
    assert first["coverage"]["share"] > 0.8
    assert first["current_coverage"] is None

    requests = shop.run("-m", "penstock", "requests", "sure", "--count", "20").stdout
    asked = shop.run("-c", SURE, "sure", shop.served_book, stdin=requests)
    answers = [json.loads(line) for line in asked.stdout.splitlines()]
    assert len(answers) == 20
    for _, prediction, _, promised in answers:
        if outcome == "worth":
            low, high = promised
            assert low < prediction < high
        else:
            assert set(promised) <= {"false", "true"}
            assert not promised or prediction in promised
    assert any(promised for *_, promised in answers)

    replayed = shop.run("-m", "penstock", "replay", *[answer[0] for answer in answers])
    assert replayed.returncode == 0
    assert "20 replayed, 20 identical to the bit, 0 different." in replayed.stdout

    second = trained(shop, "2026-W43")["gate"]
    assert second["current_release"] == 1
    assert second["current_coverage"]["level"] == LEVEL
    assert second["current_coverage"]["rows"] > 100
    assert second["current_coverage"]["share"] > 0.8
    card = shop.run("-m", "penstock", "card", "sure").stdout
    assert "90%" in card or "0.9" in card
