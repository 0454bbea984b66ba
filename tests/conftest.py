"""What must be so before any test file is imported; the fixtures are in the plugins."""

import os

from hypothesis import settings as hypothesis_settings

# Read by OpenMP when scikit-learn loads it, which a test file may do before `penstock.training` says the same.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Read by Ray when it is imported, which a test file may do before `penstock.training.on_ray` says the same: without it
# Ray looks for a head on 127.0.0.1 at the machine's outer address.
os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")

pytest_plugins = ["penstock.testing.books", "tests.example"]

# Machines that run tests are busy: how long one example takes says nothing.
hypothesis_settings.register_profile("house", deadline=None)
hypothesis_settings.load_profile("house")
