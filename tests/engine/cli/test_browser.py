"""What a person does by clicking, in a real browser, on the running system."""

import json
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.browser import CHROMIUM, needs_chromium
from tests.engine.cli.conftest import Penstock

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
RUNS = "{ runsOrError { ... on Runs { results { runId jobName status tags { key value } } } } }"

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def page(browser: None) -> Iterator[Page]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        opened = chromium.new_page(viewport={"width": 1500, "height": 1000})
        opened.set_default_timeout(60_000)
        yield opened
        chromium.close()


def runs(port: int) -> list[dict[str, Any]]:
    asked = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql",
        json.dumps({"query": RUNS}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(asked, timeout=30) as response:
        found: list[dict[str, Any]] = json.loads(response.read())["data"]["runsOrError"]["results"]
    return found


def test_a_month_is_materialized_by_clicking(up: None, penstock: Penstock, ports: tuple[int, int], page: Page) -> None:
    before = {run["runId"] for run in runs(ports[1])}

    page.goto(f"http://127.0.0.1:{ports[1]}/locations/flights/asset-groups/flight_delay")
    page.get_by_role("button", name="Materialize all").first.click()
    page.get_by_role("button", name="Latest", exact=True).click()
    page.get_by_role("button", name="Launch 1 run").click()

    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        clicked = [run for run in runs(ports[1]) if run["runId"] not in before and "replicate" not in run["jobName"]]
        if clicked and clicked[0]["status"] in {"SUCCESS", "FAILURE", "CANCELED"}:
            break
        time.sleep(1)
    assert [run["status"] for run in clicked] == ["SUCCESS"]
    page.goto(f"http://127.0.0.1:{ports[1]}/assets/flight_delay/candidate")
    expect(page.get_by_text("roc_auc_base_rate").first).to_be_visible()
    ledger = json.loads(penstock("releases", "flight_delay", "--json").stdout)
    assert ledger[0]["release"] == 1, "the same month and rows give the same artifact, so the release stays"


def test_the_services_page_predicts_from_its_own_example(up: None, ports: tuple[int, int], page: Page) -> None:
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.goto(f"http://127.0.0.1:{ports[0]}/")

    page.get_by_role("button", name="Predict").click()

    expect(page.get_by_text('"prediction"').first).to_be_visible()
    expect(page.get_by_text("route_history").first).to_be_visible()
    assert complaints == []


def test_the_api_page_shows_every_operation_without_the_internet(up: None, ports: tuple[int, int], page: Page) -> None:
    loaded: list[str] = []
    page.on("request", lambda request: loaded.append(request.url))
    page.goto(f"http://127.0.0.1:{ports[0]}/docs")

    expect(page.get_by_text("/models/flight_delay/predict").first).to_be_visible()
    assert f"http://127.0.0.1:{ports[0]}/docs" in loaded
    assert {url.split(":")[0] for url in loaded if "//127.0.0.1:" not in url} <= {"data"}
