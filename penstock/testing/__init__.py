"""What a project's tests use: a pytest plugin with real parts, each made in a second.

In the project's `tests/conftest.py`:

    pytest_plugins = ["penstock.testing"]

Then a test asks for a fixture by its name:

    def test_a_full_tank_runs_over(publish_into_book, release_in_book, serve):
        publish_into_book(TANKS, [{"name": "t7", "height": 5.0}])
        release_in_book(CONTRACT, fitted_estimator)
        answer = serve(CONTRACT).client("overflow").predict({"tank": "t7", "inflow": 40.0})
        assert answer.prediction == "overflows"

| fixture | what it is |
|---|---|
| `book`, `prod_book` | a TEST and a PROD book, empty, in a real Postgres |
| `clock` | the time, also `system.clock`: it stands still until the test moves it |
| `system` | a home with both books, a warehouse and stores, at the time of `clock`; the environment names it |
| `publish_into_book`, `release_in_book` | functions that make rows and a model current in the TEST book |
| `answer_over_rows` | a function that returns a model's answer over made-up rows of its tables |
| `serve` | a function that starts the service of some contracts over the TEST book |
| `postgres`, `new_database` | the server's URL, and a function that creates an empty database |
| `slow`, `stack`, `browser` | markers for tests of fixtures that request them: `pytest -m "not slow"` leaves them out |

A warehouse made from rows is `system.write_tables({"orders": rows})`: rows are dicts, a pandas frame, an Arrow table
or a CSV file. For fixtures that live longer than one test there are functions: `create_book`, `as_member`,
`new_system`, `publish_rows`, `release_model`, `uvicorn_thread`. Tests that depend on each other are methods of a
`Story`.
"""

from penstock.testing.books import as_member, book, create_book, create_database, new_database, postgres, prod_book
from penstock.testing.environment import System, new_system, system
from penstock.testing.examples import answer_over_rows
from penstock.testing.kinds import browser, pytest_configure, pytest_itemcollected, slow, stack
from penstock.testing.publishing import publish_into_book, publish_rows, release_in_book, release_model
from penstock.testing.service import Serve, Service, serve, uvicorn_thread, wait_for
from penstock.testing.story import Story, pytest_runtest_makereport, pytest_runtest_setup
from penstock.testing.time import NOON, Clock, clock
from penstock.testing.warehouse import Rows, Tables, as_arrow, write_tables

__all__ = [
    "NOON",
    "Clock",
    "Rows",
    "Serve",
    "Service",
    "Story",
    "System",
    "Tables",
    "answer_over_rows",
    "as_arrow",
    "as_member",
    "book",
    "browser",
    "clock",
    "create_book",
    "create_database",
    "new_database",
    "new_system",
    "postgres",
    "prod_book",
    "publish_into_book",
    "publish_rows",
    "pytest_configure",
    "pytest_itemcollected",
    "pytest_runtest_makereport",
    "pytest_runtest_setup",
    "release_in_book",
    "release_model",
    "serve",
    "slow",
    "stack",
    "system",
    "uvicorn_thread",
    "wait_for",
    "write_tables",
]
