"""Runs `penstock train churn --dry-run` in each of the given projects: one process that has imported everything forks
for each, which is ten times as fast as a new one. Prints project -> [exit code, output] as JSON."""

import contextlib
import json
import os
import sys
from pathlib import Path

import pandera.pandas  # noqa: F401
import sklearn.dummy  # noqa: F401

import penstock.training.dry_run  # noqa: F401
from penstock.cli import main
from penstock.cli.commands import train


def run(project: Path) -> tuple[int, str]:
    """The exit code of the command there, and what it printed."""
    log = project / "said.txt"
    child = os.fork()
    if not child:
        code = 70
        try:
            os.chdir(project)
            os.environ["PENSTOCK_PROJECT"] = str(project)
            sys.argv = ["penstock", "train", "churn", "--dry-run"]
            with log.open("w") as said, contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                try:
                    main.main()
                    code = 0
                except SystemExit as error:
                    code = error.code if isinstance(error.code, int) else 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), log.read_text()


if __name__ == "__main__":
    assert train.command.name == "train"
    print(json.dumps({name: run(Path(name)) for name in sys.argv[1:]}))
