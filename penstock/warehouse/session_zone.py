"""Surroundings in another time zone than UTC, as a user's shell or a container may have them."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

OTHER_ZONE = "Asia/Tokyo"
_VARIABLES = ("TZ", "PGTZ")
"""Read by the C library and by libpq when a session begins."""


@contextmanager
def another_zone(zone: str = OTHER_ZONE) -> Iterator[None]:
    """Sessions that begin in this context would have this zone, if nothing were done about it. Of the whole process."""
    before = {name: os.environ.get(name) for name in _VARIABLES}
    os.environ.update(dict.fromkeys(_VARIABLES, zone))
    time.tzset()
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        time.tzset()
