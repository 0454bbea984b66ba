from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest

from penstock.errors import ArtifactError
from penstock.releases.card_text import html, markdown, sections
from penstock.releases.cards import CardStore
from penstock.releases.entry import LedgerEntry
from tests.engine.cards import card

ARTIFACT = "a" * 64
RELEASED = LedgerEntry(
    entry=5,
    model="shapes",
    release=3,
    action="override",
    artifact=ARTIFACT,
    contract="c",
    period="2026-07",
    training_snapshot="t",
    holdout_snapshot="h",
    metrics={},
    gate={"passed": False, "reasons": ["roc_auc 0.5000 <b>low</b>"], "candidate": 0.5},
    code_version="v",
    who="ann",
    why="drill",
    replaced=2,
    at=datetime(2026, 8, 2, 6, tzinfo=UTC),
)


class Loads(HTMLParser):
    """Collects everything that a page would load, all tags, and the text of each element."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.tags: set[str] = set()
        self.text = ""
        self._elements: list[tuple[str, str]] = []
        self._open = False
        self.feed(page)

    def of(self, tag: str) -> list[str]:
        """The text of each element of a tag, in the page's order."""
        return [text for name, text in self._elements if name == tag]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.loaded += [str(value) for name, value in attrs if name in {"src", "href"}]
        self._elements.append((tag, ""))
        self._open = True

    def handle_endtag(self, tag: str) -> None:
        self._open = False

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._open:
            tag, text = self._elements.pop()
            self._elements.append((tag, text + data))


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_a_card_comes_back_as_it_was_stored(tmp_path: Path, scheme: str) -> None:
    store = CardStore(f"{scheme}{tmp_path}")
    store.put(card(ARTIFACT))

    assert store.get(ARTIFACT) == card(ARTIFACT)
    assert [path.name for path in (tmp_path / "cards").iterdir()] == [f"{ARTIFACT}.json"]


def test_a_card_in_an_object_store_comes_back_as_it_was_stored() -> None:
    store = CardStore("memory://artifacts-of-test-cards")

    assert store.get(ARTIFACT) is None
    store.put(card(ARTIFACT))
    assert store.get(ARTIFACT) == card(ARTIFACT)


def test_a_damaged_card_is_refused_with_what_to_do(tmp_path: Path) -> None:
    store = CardStore(str(tmp_path))
    store.put(card(ARTIFACT))
    (tmp_path / "cards" / f"{ARTIFACT}.json").write_text('{"model": 1}')

    with pytest.raises(ArtifactError, match="Train the period again"):
        store.get(ARTIFACT)


def test_a_card_from_before_periods_is_read_with_its_month_as_its_period(tmp_path: Path) -> None:
    store = CardStore(str(tmp_path))
    store.put(card(ARTIFACT))
    file = tmp_path / "cards" / f"{ARTIFACT}.json"
    file.write_text(file.read_text().replace('"period":"2026-07"', '"month":"2026-07"'))
    assert '"month"' in file.read_text()

    assert store.get(ARTIFACT) == card(ARTIFACT)


def test_only_a_digest_names_a_card(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="64 hexadecimal digits"):
        CardStore(str(tmp_path)).get("../../secret")


def test_the_page_loads_nothing_and_shows_text_as_text() -> None:
    page = html(card(ARTIFACT, purpose="<script>alert(1)</script> $model"), RELEASED)
    seen = Loads(page)

    assert seen.loaded
    assert all(source.startswith("data:") for source in seen.loaded)
    assert not seen.tags & {"script", "b"}
    assert "&lt;script&gt;alert(1)&lt;/script&gt; $model" in page


def test_whatever_a_card_says_is_shown_as_text_in_every_part_of_the_page() -> None:
    evil = "<img src='x' onerror=\"alert(1)\">&amp;"
    plain = card(ARTIFACT)
    made = msgspec.structs.replace(
        plain,
        model=evil,
        purpose=evil,
        owner=evil,
        slice_by=evil,
        request=(msgspec.structs.replace(plain.request[0], meaning=evil),),
    )
    seen = Loads(html(made, replace(RELEASED, why=evil)))

    assert seen.text.count(evil) >= 7
    assert {source.partition(":")[0] for source in seen.loaded} == {"data"}
    assert seen.tags == Loads(html(plain, RELEASED)).tags


def test_every_section_of_the_card_is_on_the_page_in_order() -> None:
    expected = list(sections(card(ARTIFACT), RELEASED))
    page = Loads(html(card(ARTIFACT), RELEASED))
    cells = [cell for section in expected for line in section.table for cell in line]

    assert len(expected) >= 9
    assert page.of("h2") == [section.title for section in expected]
    assert sorted(page.of("td") + page.of("th")) == sorted(cells)


def test_markdown_tells_release_metrics_slices_and_the_most_important_feature_first() -> None:
    text = markdown(card(ARTIFACT), RELEASED)

    assert "Release 3, override at 2026-08-02 06:00 UTC by ann: drill. It replaced release 2." in text
    assert "| roc_auc | 0.8125 | 0.7900 to 0.8300 |" in text
    assert "| square | unknown |  | 400 |" in text
    assert text.index("| room | +0.2000") < text.index("| age | +0.0100")
    assert "Name \\| of the tank." in text


def test_a_card_without_a_release_says_nothing_of_one() -> None:
    assert "## Release" not in markdown(card(ARTIFACT))
