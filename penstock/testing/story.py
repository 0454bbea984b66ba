"""Tests that depend on the order in which they run: the steps of a story, told by one class."""

from collections.abc import Generator

import pytest

DONE = pytest.StashKey[dict[str, str]]()
"""Of a class's steps that ran: the name of each, and how it ended."""


class Story:
    """Base of a class whose test methods are steps that run in the order in which they are written.

    A step begins in the state in which the one before it left the world. So a step that comes after one that failed, or
    that was chosen without those before it, fails at once and says which one is missing.
    """


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fail a step of a story before its fixtures are made, if one of the steps before it has not passed."""
    story = _story(item)
    if story is None:
        return
    done, own = _done(item), getattr(item, "originalname", item.name)
    for name in _steps(story):
        if name == own:
            return
        how = done.get(name, "has not run")
        if how == "skipped":
            pytest.skip(f"{own} is a step of a story, and {name} before it was skipped")
        if how != "passed":
            whole = item.nodeid.rpartition("::")[0]
            todo = f"Run all of {whole}." if how == "has not run" else "Mend that one first."
            pytest.fail(f"{own} is a step of a story, and {name} before it {how}. {todo}", pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note how each step of a story ended; of a step with parameters, the worst of its ends."""
    report = yield
    if _story(item) is not None:
        done, own = _done(item), getattr(item, "originalname", item.name)
        if report.failed or (report.skipped and done.get(own) != "failed"):
            done[own] = report.outcome
        elif report.when == "call":
            done.setdefault(own, "passed")
    return report


def _story(item: pytest.Item) -> type[Story] | None:
    found = getattr(item, "cls", None)
    return found if found is not None and issubclass(found, Story) else None


def _steps(story: type[Story]) -> list[str]:
    """The test methods of a story, in the order in which they are written."""
    return [name for name in vars(story) if name.startswith("test")]


def _done(item: pytest.Item) -> dict[str, str]:
    assert item.parent is not None
    return item.parent.stash.setdefault(DONE, {})
