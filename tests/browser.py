"""The browser in which pages are tried."""

import shutil

import pytest
from playwright.sync_api import expect

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="No Chromium on this machine (Debian: apt-get install chromium)."
)
expect.set_options(timeout=60_000)  # a busy machine draws a page later than in the 5 s that are its default
