from penstock.postgres.book import Book

LEDGER = "SELECT count(*) FROM app.release"


def test_a_book_is_migrated_again_without_harm(book: Book) -> None:
    assert book.migrate() == ()
    with book.connect() as connection:
        assert connection.execute(LEDGER).fetchone() == (0,)
