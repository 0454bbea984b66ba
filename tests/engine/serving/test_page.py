"""The live page of a service whose model explains, in a real browser."""

import os

from playwright.sync_api import expect, sync_playwright

from tests.browser import CHROMIUM, needs_chromium
from tests.engine.serving.conftest import Service, wait_for

pytestmark = needs_chromium


def test_a_prediction_that_one_clicks_on_shows_what_its_features_contributed(service: Service, browser: None) -> None:
    service.release(2, explain=True)
    assert wait_for(lambda: service.serves() == 2)
    answers = [service.ask(tank=f"t{n}", inflow=9.0 * n).json() for n in range(1, 6)]
    why = service.http.get(f"/models/overflow/predictions/{answers[2]['id']}/contributions").json()
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = chromium.new_page(viewport={"width": 1200, "height": 1250})
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.goto(str(service.http.base_url))
        expect(page.get_by_text("Click on one to see what its features contributed.")).to_be_visible()
        page.locator("#recent tr", has_text=answers[2]["id"]).locator("td").first.click()
        expect(page.locator("#said")).to_contain_text(answers[2]["id"])
        expect(page.locator("#said")).to_contain_text("the raw score of overflows is")
        rows = page.locator("#why tbody tr")
        expect(rows).to_have_count(4)
        largest = max(why["contributions"], key=lambda name: abs(why["contributions"][name]))
        expect(rows.first).to_contain_text(largest)
        expect(page.locator("#recent tr.chosen")).to_contain_text(answers[2]["id"])
        if folder := os.environ.get("PICTURES"):
            page.screenshot(path=f"{folder}/page.png", full_page=True)
        chromium.close()
    assert complaints == []
