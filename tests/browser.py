"""The browser in which pages are tried."""

import shutil

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="No Chromium on this machine (Debian: apt-get install chromium)."
)
