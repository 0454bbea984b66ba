"""The fixtures of all tests: those of `penstock.testing`, as any project has them, and those of the example."""

from hypothesis import settings as hypothesis_settings

pytest_plugins = ["penstock.testing", "tests.example", "pytester"]

# Machines that run tests are busy: how long one example takes says nothing.
hypothesis_settings.register_profile("house", deadline=None)
hypothesis_settings.load_profile("house")
