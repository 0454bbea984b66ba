"""Which Postgres URL a replica serves from."""

from resources.settings import BookName, SettingError, Settings


def book_url(settings: Settings, book: BookName) -> str:
    """The book's URL; a replica never starts a server, so SettingError where none is set."""
    url = settings.test_url if book == "test" else settings.prod_url
    if not url:
        name = f"PENSTOCK_{book.upper()}_URL"
        raise SettingError(name, expected="a Postgres URL", found="nothing", todo=f"Set {name}, or run `penstock up`.")
    return url
