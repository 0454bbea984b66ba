"""Publications as a printed table."""

from collections.abc import Sequence

from rich.table import Table

from penstock.publish.publication import Publication


def publications_table(publications: Sequence[Publication]) -> Table:
    """One row per table and book: what was done, how long it took, how fast a lookup is."""
    shown = Table("book", "table", "snapshot", "rows", "size", "done", "rows/s", "load", "verify", "lookup p99")
    for one in publications:
        shown.add_row(
            one.book,
            one.table,
            one.snapshot[:12],
            f"{one.rows:,}",
            f"{one.bytes / 1e6:,.1f} MB",
            "already current" if one.skipped else f"loaded in {one.seconds.total:.2f} s",
            "-" if one.skipped else f"{one.rows_per_second:,.0f}",
            "-" if one.skipped else f"{one.seconds.load:.2f} s",
            "-" if one.skipped else f"{one.seconds.verify:.2f} s",
            ", ".join(f"{name} {p99:.2f} ms" for name, p99 in one.lookup_p99_ms.items()) or "-",
        )
    return shown
