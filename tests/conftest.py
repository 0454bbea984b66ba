"""The fixtures of all tests: those of `penstock.testing`, as any project has them, and those of the example."""

import signal

from hypothesis import settings as hypothesis_settings

pytest_plugins = ["penstock.testing", "tests.example", "pytester"]

# Machines that run tests are busy: how long one example takes says nothing.
hypothesis_settings.register_profile("house", deadline=None)
hypothesis_settings.load_profile("house")

# Where a shell has started the tests in the background, Ctrl-C is ignored. Dagster lets SIGTERM do what Ctrl-C does,
# and then everything that a test starts would ignore both.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
