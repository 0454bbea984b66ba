"""`penstock restore`: a backup, into an empty place."""

from pathlib import Path

import click


@click.command(epilog="Example: penstock restore /mnt/backups/penstock")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--name", default="", help="Which backup of FOLDER; the newest if not given.")
def restore(folder: Path, name: str) -> None:
    """Bring a backup back into the books and stores of the settings, which have to be empty.

    Everything is checked first: nothing is changed where a book or store is not empty, a dump is damaged, or the
    backup is of a newer Penstock. Needs a role that may create schemas.
    """
    from penstock.backup.restore import bring_back
    from penstock.postgres.databases import Databases
    from penstock.postgres.migrations import newest
    from penstock.settings import load

    settings = load()
    done = bring_back(Databases(settings).books(), settings.stores, folder, name)
    click.echo(f"Restored {done.backup.name}: both books and {done.files} files of the stores.")
    for book in done.without_roles:
        click.echo(
            f"Book {book}: this server lacks roles that it named. `penstock doctor --roles` prints their script."
        )
    if any(book.version < newest() for book in done.backup.books.values()):
        click.echo("The books are of an older version: run `penstock migrate`.")
