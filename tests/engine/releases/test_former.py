"""Releases that a former rule recorded stay known when a description is edited afterwards."""

from typing import Annotated

import msgspec
import psycopg
import pytest

from penstock.contract.contract import Contract
from penstock.postgres import roles
from penstock.postgres.book import Book
from penstock.releases.former import adopt
from penstock.releases.ledger import Proposal, Verdict, current, current_releases, fitting_contracts, ledger, release
from penstock.testing import as_member
from tests.engine.contract.former import CONTRACT, ParcelRequest
from tests.engine.contract.test_digest import NOW, OF_VERSION_0_1_0


@pytest.fixture
def old_book(book: Book) -> Book:
    proposal = Proposal("parcel", "a" * 64, OF_VERSION_0_1_0, "2026-10", "training", "holdout", {}, "code")
    release(book, proposal, lambda _: Verdict("release", {}), who="me", why="test")
    return book


def recorded(book: Book) -> set[str]:
    """What the ledger, the pointer and the check of a deploy say of the release's contract."""
    entry = current(book, "parcel")
    assert entry is not None
    pointed = current_releases(book)["parcel"].contract
    return {entry.contract, pointed, ledger(book, "parcel")[0].contract, *fitting_contracts(book)["parcel"]}


def reworded() -> Contract:
    meta = msgspec.Meta(min_length=1, description="In which depot it lies.", examples=["south"])
    fields = [
        (field.encode_name, Annotated[str, meta] if field.name == "depot" else field.type, field.default)
        if field.default is not msgspec.NODEFAULT
        else (field.encode_name, Annotated[str, meta])
        for field in msgspec.structs.fields(ParcelRequest)
    ]
    request = msgspec.defstruct("ParcelRequest", fields, forbid_unknown_fields=True, kw_only=True, frozen=True)
    made: Contract = msgspec.structs.replace(CONTRACT, request=request)
    return made


def test_an_edited_description_loses_a_former_digest_unless_it_was_adopted(old_book: Book) -> None:
    edited = reworded()
    assert edited.digest() == NOW
    assert not edited.is_of(OF_VERSION_0_1_0), "this is why it is written down"
    assert recorded(old_book) == {OF_VERSION_0_1_0}

    assert adopt(old_book, [CONTRACT]) == ["parcel"]
    assert recorded(old_book) == {NOW}
    assert edited.is_of(recorded(old_book).pop())
    assert adopt(old_book, [CONTRACT]) == []


def test_code_that_was_edited_before_adopts_nothing_and_a_role_that_may_not_write_neither(old_book: Book) -> None:
    assert adopt(old_book, [reworded()]) == []
    assert adopt(as_member(old_book, roles.PIPELINE), [CONTRACT]) == []
    assert recorded(old_book) == {OF_VERSION_0_1_0}


def test_the_service_reads_what_was_adopted(old_book: Book) -> None:
    adopt(old_book, [CONTRACT])
    with psycopg.connect(as_member(old_book, roles.SERVICE).url) as connection:
        assert connection.execute("SELECT former, digest FROM app.former_contract").fetchall() == [
            (OF_VERSION_0_1_0, NOW)
        ]
