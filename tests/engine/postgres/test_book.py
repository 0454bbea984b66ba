import pytest

from penstock.postgres.book import Book, Books
from penstock.postgres.migrations import BookError

LEDGER = "SELECT count(*) FROM app.release"


def test_a_book_is_migrated_again_without_harm(book: Book) -> None:
    assert book.migrate() == ()
    with book.connect() as connection:
        assert connection.execute(LEDGER).fetchone() == (0,)


def test_both_books_come_in_the_order_of_a_publish_and_by_name(book: Book, prod_book: Book) -> None:
    books = Books(book, prod_book)

    assert [one.name for one in books] == ["test", "prod"]
    assert (books.named("test"), books.named("prod")) == (book, prod_book)


def test_a_parameter_that_libpq_does_not_know_is_named_without_the_password() -> None:
    wrong = Book("prod", "postgresql://somebody:not-to-be-seen@127.0.0.1/books?sslmod=require")
    said = r"book 'prod': .* invalid URI query parameter: \"sslmod\""
    with pytest.raises(BookError, match=said) as refused, wrong.connect():
        pass
    assert "not-to-be-seen" not in str(refused.value)
