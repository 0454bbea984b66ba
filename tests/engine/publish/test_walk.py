"""One snapshot can be read from its extract to the switch in both books: it goes through few files."""

from dataclasses import replace

from penstock.publish.publish import publish
from penstock.testing import System
from tests.engine.testing.shop import SHOPS
from tests.engine.walk import Trace

MOST_FILES, MOST_OF_ROOMS = 41, 25
"""All, and those of `extract/` and `publish/` with the files of other rooms that these call."""


def test_a_snapshot_goes_through_few_files(system: System) -> None:
    system.write_tables({"source.shops": [{"name": name, "distance": 1.5, "open": True} for name in "ba"]})
    table = replace(SHOPS, minimum_rows=2)
    with Trace() as trace:
        walked = trace.of(lambda: publish(system.extract(table), table, [system.test, system.prod], who="test"))
        of_rooms = trace.of_rooms("extract", "publish")
    assert {"extract/extract.py", "snapshots/store.py", "rows/copy_stream.py", "publish/switch.py"} <= walked
    walked -= {"testing/environment.py", "settings.py", "project.py"}
    assert len(walked) <= MOST_FILES, sorted(walked)
    of_rooms -= {"testing/environment.py"}
    assert {"extract/extract.py", "publish/switch.py"} <= of_rooms
    assert len(of_rooms) <= MOST_OF_ROOMS, sorted(of_rooms)
