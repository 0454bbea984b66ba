"""Plots as PNG bytes, and how a table grows."""

from io import BytesIO

from matplotlib.figure import Figure

INK, SECOND, FAINT = "#1b6ca8", "#c8553d", "#b8b8b8"


def png(figure: Figure) -> bytes:
    """The figure as it is shown and stored."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=80)
    return buffer.getvalue()
