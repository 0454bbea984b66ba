"""Where the checkout under test lies, and the project in it."""

from pathlib import Path

from penstock.project import containing

ROOT = Path(__file__).resolve().parent.parent
PROJECT = containing(ROOT)


def python_path(folder: Path, *places: Path) -> str:
    """A PYTHONPATH with these places, by links in `folder` of the same names: their own paths may hold colons."""
    links = [folder / "on-path" / place.name for place in places]
    for link, place in zip(links, places, strict=True):
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(place)
    return ":".join(map(str, links))
