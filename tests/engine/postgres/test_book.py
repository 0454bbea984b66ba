from penstock.postgres.book import Book

LEDGER = "SELECT count(*) FROM app.release"


def test_a_book_is_ensured_again_without_harm(book: Book) -> None:
    book.ensure()
    with book.connect() as connection:
        assert connection.execute(LEDGER).fetchone() == (0,)
