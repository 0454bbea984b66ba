"""A plot of the publishes of a table."""

from collections.abc import Sequence
from datetime import UTC, datetime

from matplotlib.dates import DateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from penstock.training.plots import INK, png


def history(rows: Sequence[tuple[float, float]], gaps: Sequence[tuple[float, float]], title: str) -> bytes:
    """Rows of a table by publish, and the hours that each one followed the one before; times in Unix seconds."""
    figure = Figure(figsize=(9, 2.6))
    left, right = figure.subplots(1, 2)
    figure.subplots_adjust(left=0.08, right=0.98, bottom=0.2, top=0.86)
    for axes, points, label in ((left, rows, "rows"), (right, gaps, "hours since the publish before")):
        axes.plot(
            [datetime.fromtimestamp(at, UTC) for at, _ in points], [value for _, value in points], "o-", color=INK
        )
        axes.set(title=f"{title}: {label}", ylim=(0, None))
        axes.tick_params(labelsize=7)
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.xaxis.set_major_formatter(DateFormatter("%d %b %H:%M", tz=UTC))  # type: ignore[no-untyped-call] # matplotlib has no types
    return png(figure)
