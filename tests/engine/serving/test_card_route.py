"""The card of the release that is served."""

from penstock.postgres.book import Book
from penstock.releases.cards import CardStore
from penstock.serving.routes.pages import SAFE
from tests.engine.cards import card
from tests.engine.serving import toy
from tests.engine.serving.conftest import Service, Start


def test_the_card_of_the_served_release_is_one_safe_page(service: Service) -> None:
    digest = service.http.get("/models/overflow").json()["state"]["artifact"]
    CardStore(service.settings.artifacts).put(card(digest))

    answer = service.http.get("/models/overflow/card")

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"] == SAFE[0][1].decode()
    assert digest in answer.text
    assert "Release 1, release at " in answer.text
    assert "/models/overflow/card" in service.http.get("/openapi.json").json()["paths"]


def test_a_release_without_a_card_is_a_problem(service: Service) -> None:
    answer = service.http.get("/models/overflow/card")

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"].endswith("no-such-card")


def test_a_model_without_a_release_has_no_card(start: Start, book: Book) -> None:
    toy.publish_all(book)
    http = start().http

    assert http.get("/models/overflow/card").json()["type"].endswith("no-release")
    assert http.get("/models/nothing/card").json()["type"].endswith("no-such-model")
