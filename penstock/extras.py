"""Which extra of the wheel brings a package that is not installed."""

import re
from importlib.metadata import PackageNotFoundError, requires

NAMES = {"sklearn": "scikit-learn", "xgboost": "xgboost-cpu", "yaml": "pyyaml"}
"""Modules whose distributions are called otherwise."""
WHOLE = "all"


def missing_extra(error: ModuleNotFoundError) -> str:
    """A sentence that names the extra; empty where no extra brings the module."""
    module = (error.name or "").partition(".")[0]
    wanted = _plain(NAMES.get(module, module))
    extras = sorted({extra for package, extra in _declared() if package == wanted and extra != WHOLE})
    if not extras:
        return ""
    named = " or ".join(f"penstock[{extra}]" for extra in extras)
    install = f"pip install 'penstock[{extras[0]}]'"
    return f"this needs {named}, whose module {module!r} is not installed here. Install it: {install}"


def _declared() -> list[tuple[str, str]]:
    """Distribution and extra of every requirement of the installed engine that an extra brings."""
    try:
        lines = requires("penstock") or []
    except PackageNotFoundError:
        return []
    found = [(re.match(r"[\w.-]+", line), re.search(r"extra == ['\"](\w+)['\"]", line)) for line in lines]
    return [(_plain(package[0]), extra[1]) for package, extra in found if package and extra]


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
