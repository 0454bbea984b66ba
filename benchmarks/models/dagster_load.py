"""What Dagster's code server does to load so many models: `python -m benchmarks.models.dagster_load 100`."""

import sys
import time
from pathlib import Path


def main() -> None:
    """Print the seconds of CPU from the start of the process."""
    from dagster._core.remote_representation.external_data import RepositorySnap
    from dagster_shared.serdes import serialize_value

    from benchmarks.models.declarations import declarations
    from penstock.graph.definitions import definitions_of

    found = declarations(int(sys.argv[1]))
    repository = definitions_of(Path(), found).get_repository_def()
    serialize_value(RepositorySnap.from_def(repository, defer_snapshots=True))
    sys.stdout.write(f"{time.process_time():.1f}\n")


if __name__ == "__main__":
    main()
