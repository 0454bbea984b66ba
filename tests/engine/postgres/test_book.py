from penstock.postgres.book import Book, Books

LEDGER = "SELECT count(*) FROM app.release"


def test_a_book_is_migrated_again_without_harm(book: Book) -> None:
    assert book.migrate() == ()
    with book.connect() as connection:
        assert connection.execute(LEDGER).fetchone() == (0,)


def test_both_books_come_in_the_order_of_a_publish_and_by_name(book: Book, prod_book: Book) -> None:
    books = Books(book, prod_book)

    assert [one.name for one in books] == ["test", "prod"]
    assert (books.named("test"), books.named("prod")) == (book, prod_book)
