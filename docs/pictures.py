"""The README's pictures, taken of the running system in a real browser: `make pictures`, after `make up`."""

import os
import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from penstock import settings as environment
from penstock.errors import PenstockError

FOLDER = Path(__file__).parent / "pictures"
MOST_BYTES = 300_000
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]


def main() -> None:
    """Take each picture; PenstockError if one is heavier than a README should carry."""
    settings = environment.load()
    service, dagster = (f"http://127.0.0.1:{port}" for port in (settings.http_port, settings.dagster_port))
    FOLDER.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=FLAGS
        )
        _graph(browser.new_page(viewport={"width": 1900, "height": 560}), dagster)
        page = browser.new_page(viewport={"width": 1400, "height": 1120})
        _candidate(page, dagster)
        _service(page, service)
        browser.close()
    for picture in sorted(FOLDER.glob("*.png")):
        size = picture.stat().st_size
        print(f"{picture}: {size / 1000:.0f} kB")
        if size > MOST_BYTES:
            raise PenstockError(str(picture), expected=f"at most {MOST_BYTES} bytes", found=str(size))


def _graph(page: Page, dagster: str) -> None:
    """The asset graph by groups, once their states are there."""
    page.goto(f"{dagster}/asset-groups")
    page.get_by_text("Materialize all").wait_for()
    page.get_by_text("fetching statuses").first.wait_for(state="hidden", timeout=60_000)
    page.wait_for_timeout(3000)
    page.screenshot(path=FOLDER / "dagster-graph.png")


def _candidate(page: Page, dagster: str) -> None:
    """What the candidate shows of itself."""
    page.goto(f"{dagster}/assets/flight_delay/candidate")
    page.get_by_text("[Show Markdown]").first.click()
    page.wait_for_timeout(1500)
    page.screenshot(path=FOLDER / "dagster-candidate.png")


def _service(page: Page, service: str) -> None:
    """The live page, after a prediction by its own form."""
    page.goto(service)
    page.get_by_role("button", name="Predict").click()
    page.wait_for_timeout(2500)
    page.screenshot(path=FOLDER / "service.png")


if __name__ == "__main__":
    try:
        main()
    except PenstockError as error:
        sys.exit(str(error))
