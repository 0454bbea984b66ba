"""The fixtures of all tests: those of `penstock.testing`, as any project has them, and those of the example."""

import os
import resource
import signal

from hypothesis import settings as hypothesis_settings

MOST_FILES = 20_000
pytest_plugins = ["penstock.testing", "tests.example", "pytester"]

# Machines that run tests are busy: how long one example takes says nothing.
hypothesis_settings.register_profile("house", deadline=None)
hypothesis_settings.load_profile("house")

# Ray reads these once in a process, whichever test comes first: no token, and no outer address for 127.0.0.1.
os.environ.setdefault("RAY_AUTH_MODE", "disabled")
os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")

# chdb keeps some 17 files open for each folder that a process has had open, and the tests have many.
allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
if 0 <= allowed < MOST_FILES:
    wanted = MOST_FILES if most == resource.RLIM_INFINITY else min(MOST_FILES, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))

# Where a shell has started the tests in the background, Ctrl-C is ignored. Dagster lets SIGTERM do what Ctrl-C does,
# and then everything that a test starts would ignore both.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
