"""`penstock backup`: books and stores, as of one instant."""

from pathlib import Path

import click


@click.command(epilog="Example: penstock backup /mnt/backups/penstock")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of lines.")
def backup(folder: Path, as_json: bool) -> None:
    """Copy both books and the stores into FOLDER while everything runs.

    Each backup is a folder of its own there; the copies of the stores are shared, and only what is new is added. The
    warehouse and Dagster's own storage are not in it. Needs a role that reads all of them.
    """
    import msgspec

    from penstock.backup.backup import back_up
    from penstock.postgres.databases import Databases
    from penstock.settings import load

    settings = load()
    done = back_up(Databases(settings).books(), settings.stores, folder)
    if as_json:
        click.echo(msgspec.json.encode(done))
        return
    click.echo(f"{folder / done.name}: both books, {done.files} files of the stores, {done.new_files} of them new.")
    for one in done.missing:
        click.secho(
            f"The snapshot store had no {one[:12]}, which a book publishes: its rows are in the dump.", fg="yellow"
        )
