"""`penstock new`: what it writes passes every check without an edit, trains, answers and replays to the bit."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from penstock.postgres import roles
from penstock.scaffold.project import write_project
from penstock.testing import System, as_member
from tests.engine.scaffold.orders import ANSWER, COUNT, FIRST, LOOKUPS, NAMES, tables, write_postgres

CODE = ("assets", "model_tools", "resources", "schemas", "serve_app", "tests")
KINDS = {
    "came_back": ("classifier", "roc_auc", 0.51),
    "stars": ("classifier", "log_loss", None),
    "worth": ("regressor", "r2", 0.01),
}


class Shop:
    """A new project over the system's books, and the commands in it."""

    def __init__(self, folder: Path, system: System) -> None:
        write_project(folder)
        self.root = folder
        self.served_book = as_member(system.prod, roles.SERVICE).url

    def run(self, *command: str, stdin: str = "", **more: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, *command],
            cwd=self.root,
            env={**os.environ, "PENSTOCK_PROJECT": str(self.root), **more},
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        print(done.stdout, done.stderr, sep="\n")
        return done

    def new(self, model: str, *options: str) -> subprocess.CompletedProcess[str]:
        return self.run("-m", "penstock", "new", model, *options)

    def files(self) -> set[str]:
        found = (path for path in self.root.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
        return {path.relative_to(self.root).as_posix() for path in found}


@pytest.fixture
def shop(system: System, tmp_path: Path) -> Shop:
    system.write_tables(tables())
    return Shop(tmp_path / "shop", system)


@pytest.fixture
def shop_on_postgres(
    system: System, tmp_path: Path, new_database: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> Shop:
    url = new_database()
    write_postgres(url)
    monkeypatch.setenv("PENSTOCK_WAREHOUSE_URL", url)
    return Shop(tmp_path / "shop", system)


def passes_every_check(shop: Shop) -> None:
    for program in (("ruff", "format", "--check", *CODE), ("ruff", "check", *CODE), ("mypy", "--no-error-summary")):
        assert shop.run("-m", *program).returncode == 0, program
    assert shop.run("-m", "pytest", "-q", "tests").returncode == 0


def answers_of(shop: Shop, model: str) -> list[Any]:
    """Trained and released without an edit, asked with the newest rows, and replayed."""
    trained = shop.run("-m", "penstock", "train", model, "--json")
    assert trained.returncode == 0
    assert json.loads(trained.stdout)["action"] == "release"
    requests = shop.run("-m", "penstock", "requests", model, "--count", "5").stdout
    assert len(requests.splitlines()) == 5
    asked = shop.run("-c", ANSWER, model, shop.served_book, stdin=requests)
    assert asked.returncode == 0
    answers = [json.loads(line) for line in asked.stdout.splitlines()]
    replayed = shop.run("-m", "penstock", "replay", *[answer[0] for answer in answers] * 2)
    assert replayed.returncode == 0
    assert "not in the journal" not in replayed.stdout
    assert "5" in replayed.stdout
    return answers


@pytest.mark.usefixtures("slow")
def test_a_model_with_lookups_needs_no_edit(shop: Shop) -> None:
    made = shop.new("coming_back", *NAMES, *LOOKUPS)
    assert made.returncode == 0
    for said in (
        "4,000 rows",
        "no time zone: it is read as UTC",
        "10 rows without an outcome: left out",
        "left out reference: more than 1,000 different texts",
        "left out currency: always 'EUR'",
        "left out nothing",
        "Trained every month: 2026-10 to 2026-10",
    ):
        assert said in made.stdout
    passes_every_check(shop)
    answers = answers_of(shop, "coming_back")
    assert len(answers) == 5
    assert {prediction for _, prediction, _, _ in answers} <= {"false", "true"}
    assert answers[0][2] == ["products", "visits"]


@pytest.mark.usefixtures("slow")
def test_several_outcomes_are_values_of_one_model(shop: Shop) -> None:
    options = ["worth,distance" if option == "came_back" else option for option in NAMES]
    made = shop.new("worth_and_way", *options)
    assert made.returncode == 0
    assert "Outcome worth, distance: a regressor of 2 values." in made.stdout
    assert "400 rows without an outcome distance: left out when training." in made.stdout
    passes_every_check(shop)
    answers = answers_of(shop, "worth_and_way")
    assert [sorted(prediction) for _, prediction, _, _ in answers] == [["distance", "worth"]] * 5
    refused = shop.new("another", *["worth,channel" if option == "came_back" else option for option in NAMES])
    assert refused.returncode == 1
    assert "expected numbers in outcome 'channel'" in refused.stderr


@pytest.mark.usefixtures("slow")
def test_times_without_a_zone_are_read_in_the_zone_that_is_named_in_every_query(shop: Shop, system: System) -> None:
    made = shop.new("coming_back", *NAMES, *LOOKUPS, "--zone", "Europe/Berlin")
    assert made.returncode == 0
    assert "ordered_at has no time zone: it is read in Europe/Berlin." in made.stdout
    rows = (shop.root / "assets/coming_back_sql/training_set.sql").read_text()
    with system.warehouse.connect(read_only=True) as warehouse:
        values = {"from": datetime(2026, 7, 1, tzinfo=UTC), "until": datetime(2026, 12, 1, tzinfo=UTC)}
        query = rows.replace(":from", "$from").replace(":until", "$until")
        found = warehouse.execute(f"SELECT min(asked_at), max(asked_at) FROM ({query})", values).fetchone()
    assert found is not None
    local = [FIRST, FIRST + timedelta(minutes=49 * (COUNT - 1))]  # in summer time, and in winter time
    assert [one.astimezone(UTC) for one in found] == [
        local[0].replace(tzinfo=UTC) - timedelta(hours=2),
        local[1].replace(tzinfo=UTC) - timedelta(hours=1),
    ]
    passes_every_check(shop)
    assert len(answers_of(shop, "coming_back")) == 5


def test_a_zone_that_is_none_is_refused(shop: Shop) -> None:
    refused = shop.new("m", *NAMES, "--zone", "Europe/Berlim")
    assert refused.returncode == 2
    assert "expected a time zone such as Europe/Berlin, found 'Europe/Berlim'" in refused.stderr


@pytest.mark.usefixtures("slow")
def test_a_model_on_postgres_needs_no_edit_and_says_what_it_cannot_use(shop_on_postgres: Shop) -> None:
    made = shop_on_postgres.new("coming_back", *NAMES, *LOOKUPS)
    assert made.returncode == 0
    assert "left out tags: of a type that no request holds (jsonb)" in made.stdout
    assert "left out at: of a type that no request holds (interval)" in made.stdout
    passes_every_check(shop_on_postgres)
    assert len(answers_of(shop_on_postgres, "coming_back")) == 5


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize("outcome", ["stars", "worth"])
def test_every_kind_of_outcome_is_trained_and_released(shop: Shop, outcome: str) -> None:
    kind, metric, floor = KINDS[outcome]
    (shop.root / "rows.sql").write_text("SELECT * FROM orders -- every one;\n;")
    options = ("--from", "rows.sql", "--outcome", outcome, *NAMES[4:], "--kind", kind)
    assert shop.new("m", *options).returncode == 0
    declared = (shop.root / "assets" / "m.py").read_text()
    assert f'metric="{metric}"' in declared
    assert f'boosting("{kind}"' in declared
    assert floor is None or f"floor={floor}" in declared
    passes_every_check(shop)
    assert len(answers_of(shop, "m")) == 5


@pytest.mark.slow
def test_a_dry_run_prints_every_file_and_writes_none(shop: Shop) -> None:
    before = shop.files()
    shown = shop.new("coming_back", *NAMES, *LOOKUPS, "--dry-run")
    assert shown.returncode == 0
    assert shown.stdout.count("==> ") == 6
    assert "CONTRACT = plain_contract(" in shown.stdout
    assert shop.files() == before
    again = shop.new("coming_back", *NAMES, *LOOKUPS)
    assert again.returncode == 0
    written = shop.files()
    assert len(written - before) == 6
    refused = shop.new("coming_back", *NAMES)
    assert refused.returncode == 1
    assert "model_tools/coming_back.py exists, and is never overwritten" in refused.stderr
    assert shop.files() == written


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "faults"),
    [
        (("coming back", *NAMES), ["use coming_back"]),
        (("m", *NAMES[:1], "order", *NAMES[2:]), ["did you mean orders?"]),
        (
            ("m", *NAMES[:3], "come_back", "--key", "customer", "--asked-at", "orderd_at", "--lookup", "product:sku"),
            ["--outcome come_back: no such column; did you mean came_back", "did you mean customer_id", "did you mean"
             " ordered_at", "did you mean products?"],
        ),
        (("m", *NAMES[:5], "gift", *NAMES[6:7], "member since"), ["--key gift: expected one row", "found 2"]),
        (("m", *NAMES[:7], "channel"), ["--asked-at channel: expected a date or a time, found string; ordered_at"]),
        (("m", *NAMES[:3], "nothing", *NAMES[4:]), ["'nothing' has no value in any of 4,000 rows"]),
        (("m", *NAMES[:3], "currency", *NAMES[4:]), ["'currency' is always 'EUR'"]),
        (("m", *NAMES[:3], "stars", *NAMES[4:]), ["classes, or amounts?", "--kind classifier"]),
        (("m", *NAMES[:3], "channel", *NAMES[4:], "--kind", "regressor"), ["expected numbers in outcome 'channel'"]),
        (("m", *NAMES, "--lookup", "visits:customer_id"), ["expected one row per customer_id", "@KNOWN_AT"]),
        (("m", *NAMES, "--lookup", "products"), ["expected a column in common", "found none", "products:KEY=FIELD"]),
        (("m", *NAMES, "--lookup", "products:sku=customer_id"), ["expected columns of one type"]),
        (
            ("m", *NAMES[:1], "late.sql", *NAMES[2:], "--every", "month"),
            ["months with outcomes", "2026-11", "--every week"],
        ),
        (
            ("m", *NAMES[:3], "currency", *NAMES[4:], "--lookup", "visits:customer_id", "--lookup", "products@price"),
            ["always 'EUR'", "expected one row per customer_id", "@price: expected a date or a time"],
        ),
    ],
)  # fmt: skip
def test_what_is_impossible_is_refused_with_every_fault_and_nothing_is_written(
    shop: Shop, options: tuple[str, ...], faults: list[str]
) -> None:
    (shop.root / "late.sql").write_text("SELECT * FROM orders WHERE ordered_at >= '2026-11-01'")
    before = shop.files()
    refused = shop.new(*options)
    assert refused.returncode == 1
    assert faults
    for fault in faults:
        assert fault in refused.stderr
    assert "Traceback" not in refused.stderr
    assert shop.files() == before


def owned_lines(shop: Shop, model: str) -> list[str]:
    """The lines of a model's Python that are neither blank, nor an import, nor a docstring."""
    lines = [line for path in shop.root.glob(f"*/{model}.py") for line in path.read_text().splitlines()]
    return [line for line in lines if line.strip() and not line.startswith(("from ", "import ")) and '"""' not in line]


@pytest.mark.usefixtures("slow")
def test_a_second_model_of_another_cadence_shares_a_table_and_both_need_few_lines(shop: Shop) -> None:
    assert shop.new("coming_back", *NAMES, *LOOKUPS).returncode == 0
    (shop.root / "rows.sql").write_text("SELECT customer_id, ordered_at, article, channel, amount, worth FROM orders")
    options = ("--from", "rows.sql", "--outcome", "worth", *NAMES[4:], "--kind", "regressor", "--every", "week")
    made = shop.new("worth", *options, "--outcome-after", "3d", *LOOKUPS[:2])
    assert made.returncode == 0
    assert "Its table products is declared already, and shared." in made.stdout
    assert "Trained every week" in made.stdout
    assert "Outcomes are awaited for 3 days." in made.stdout
    declared = (shop.root / "assets" / "worth.py").read_text()
    assert 'every="week"' in declared
    assert "outcome_after=timedelta(days=3)" in declared
    assert not (shop.root / "assets" / "worth_sql" / "tables").exists()
    passes_every_check(shop)
    assert len(answers_of(shop, "worth")) == 5
    assert 20 < len(owned_lines(shop, "coming_back")) <= 48, "of them a line for each of the ten fields"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--every", "year"), "'day', 'week', 'month'"),
        (("--outcome-after", "soon"), "expected hours, days or weeks, such as 6h, 30d or 2w, found 'soon'"),
        (("--every", "month", "--outcome-after", "90d"), "expected two that are over and ripe (90 days)"),
    ],
)
def test_a_cadence_that_cannot_be_is_refused_with_its_option(shop: Shop, options: tuple[str, ...], said: str) -> None:
    refused = shop.new("m", *NAMES, *options)
    assert refused.returncode in (1, 2)
    assert said in refused.stderr
    assert "Traceback" not in refused.stderr
