"""`penstock.testing` as a plugin of a test suite of somebody else, which is run by a pytest of its own."""

import re
import shutil
from pathlib import Path

import pytest

from tests.checkout import ROOT

STORY = """
import pytest
from penstock.testing import Story

class TestTanks(Story):
    def test_fill(self): pass

    @pytest.mark.parametrize("valve", [1, 2])
    def test_open(self, valve): assert valve == 1

    def test_drain(self): pass

def test_apart(): pass
"""
KINDS = """
import pytest

@pytest.fixture
def cluster(stack): return 1

@pytest.fixture
def service(cluster): return 2

def test_on_a_cluster(service): pass
def test_with_patience(slow): pass
def test_quickly(): pass
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """The folder of a suite that names the plugin."""
    pytester.makeconftest('pytest_plugins = ["penstock.testing"]')
    return pytester


@pytest.mark.slow
def test_the_steps_after_one_that_failed_fail_and_name_it(suite: pytest.Pytester) -> None:
    suite.makepyfile(test_story=STORY)
    result = suite.runpytest()
    result.assert_outcomes(passed=3, failed=1, errors=1)
    result.stdout.fnmatch_lines(["*test_drain is a step of a story, and test_open before it failed. Mend that*"])


def test_a_step_alone_says_what_has_to_run_before_it(suite: pytest.Pytester) -> None:
    suite.makepyfile(test_story=STORY)
    result = suite.runpytest("-k", "drain or apart")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        ["*test_drain is a step of a story, and test_fill before it has not run. Run all of test_story.py::TestTanks."]
    )


def test_the_steps_of_a_story_that_goes_well_all_run(suite: pytest.Pytester) -> None:
    suite.makepyfile(test_story=STORY.replace("valve == 1", "valve < 3"))
    suite.runpytest().assert_outcomes(passed=5)


def test_the_steps_after_one_that_was_skipped_are_skipped(suite: pytest.Pytester) -> None:
    suite.makepyfile(test_story=STORY.replace("assert valve == 1", "pytest.skip('no valve')"))
    suite.runpytest().assert_outcomes(passed=2, skipped=3)


def test_what_uses_a_slow_fixture_is_left_out_by_its_marker(suite: pytest.Pytester) -> None:
    suite.makepyfile(test_kinds=KINDS)
    for chosen, count in (("not slow", 1), ("slow", 2), ("stack", 1), ("browser", 0)):
        suite.runpytest("-m", chosen, "--strict-markers").assert_outcomes(passed=count, deselected=3 - count)


def test_the_tests_of_the_documentation_pass(slow: None, pytester: pytest.Pytester) -> None:
    conftest, *examples = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "testing.md").read_text(), re.S)
    assert len(examples) == 5
    declared_in = re.compile(r"from (assets|model_tools)\.minutes import")
    pytester.makeconftest(conftest)
    pytester.makepyfile(test_examples=declared_in.sub("from shop import", "\n".join(examples)))
    shutil.copy(Path(__file__).with_name("shop.py"), pytester.path)
    (pytester.path / "tests").mkdir()
    (pytester.path / "tests" / "shops.csv").write_text("name,distance\na,1.5\n")

    pytester.runpytest_subprocess().assert_outcomes(passed=5)
