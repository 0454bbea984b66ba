"""The picture of the rooms, drawn from the import rules: `python -m docs.rooms` writes `docs/pictures/rooms.svg`.

A floor is a row, a room a box; a room imports rooms of the rows below it only. The rows are the layers that
import-linter enforces (`[tool.importlinter]` in `pyproject.toml`), so the picture cannot say anything else.
"""

import re
import tomllib
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[1]
PICTURE = Path(__file__).parent / "pictures" / "rooms.svg"
ENGINE, SERVING = "penstock", "penstock.serving"
WIDTH, HEIGHT, GAP, TITLE = 940, 34, 8, 30
STYLE = (
    "text{font:14px system-ui,sans-serif;fill:#1f2933}.title{font-weight:600}.floor{fill:#f1f4f8}"
    ".room{fill:#fff;stroke:#7b8794}.project{fill:#e6f4ea;stroke:#5f9b70}"
)


def floors(contract_of: str | None, pyproject: str) -> list[list[str]]:
    """The layers of a package's contract, from the top down; of the project and the engine where it is None."""
    for contract in tomllib.loads(pyproject)["tool"]["importlinter"]["contracts"]:
        if contract["type"] == "layers" and contract.get("containers", [None]) == [contract_of]:
            return [re.split(r" [|:] ", layer) for layer in contract["layers"]]
    raise LookupError(f"pyproject.toml has no layers for {contract_of}")


def svg(pyproject: str) -> str:
    """The whole picture."""
    lines: list[str] = []
    y = _stack(lines, "The project imports the engine", floors(None, pyproject)[:-1], GAP, "project")
    y = _stack(lines, "The engine, penstock/", floors(ENGINE, pyproject), y, "room")
    y = _stack(lines, "The floors of penstock/serving/", floors(SERVING, pyproject), y, "room")
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" role="img">'
    return "\n".join((head, f"<title>Rooms and floors</title><style>{STYLE}</style>", *lines, "</svg>", ""))


def _stack(lines: list[str], title: str, rows: list[list[str]], y: int, kind: str) -> int:
    """One title with its floors below `y`; returns where the next may begin."""
    lines.append(f'<text class="title" x="{GAP}" y="{y + 20}">{escape(title)}</text>')
    y += TITLE
    for row in rows:
        wide = (WIDTH - GAP) / min(len(row), 6)
        deep = -(-len(row) // 6)
        lines.append(f'<rect class="floor" x="0" y="{y}" width="{WIDTH}" height="{deep * HEIGHT + GAP}" rx="6"/>')
        for index, room in enumerate(row):
            x, top = GAP + index % 6 * wide, y + GAP // 2 + index // 6 * HEIGHT
            size = f'width="{wide - GAP:.1f}" height="{HEIGHT - 4}" rx="4"'
            lines.append(f'<rect class="{kind}" x="{x:.1f}" y="{top + 2}" {size}/>')
            middle = f'x="{x + (wide - GAP) / 2:.1f}" y="{top + 22}" text-anchor="middle"'
            lines.append(f"<text {middle}>{escape(room)}</text>")
        y += deep * HEIGHT + GAP + 4
    return y + GAP


if __name__ == "__main__":
    PICTURE.write_text(svg((ROOT / "pyproject.toml").read_text()))
