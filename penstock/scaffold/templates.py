"""The templates of `rendered/`: files that a team's project has otherwise than this repository."""

from pathlib import Path

import jinja2


def render(name: str, **values: object) -> str:
    """The text of a template; jinja2.UndefinedError if a value is missing."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "rendered"),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # noqa: S701  no HTML among them
    )
    return environment.get_template(name).render(**values)
