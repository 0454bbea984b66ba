"""What a check of `penstock doctor` found."""

import msgspec


class Finding(msgspec.Struct, frozen=True):
    """What a check found, and what to do if it is not well. A check that was not `tried` says why in `found`."""

    name: str
    ok: bool
    found: str
    todo: str = ""
    tried: bool = True


def untried(name: str, why: str) -> Finding:
    """A check that could not be made, because of what another one found."""
    return Finding(name, True, f"not tried: {why}", tried=False)
