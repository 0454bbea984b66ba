"""The `penstock` command group: names and one-line helps here, each command's module loaded when it is used."""

import errno
import importlib
import sys
import traceback
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import NoReturn

import click

from penstock.cli.ending import ended_by_signals, without_finalizing
from penstock.errors import PenstockError
from penstock.extras import missing_extra
from penstock.settings import DEBUG, is_set, load, warn_of_unknown_variables

COMMANDS = {
    "init": "Write a new project.",
    "new": "Write a new model into the project, from a table of the warehouse.",
    "up": "Start everything that does not run yet, up to an answered prediction.",
    "down": "Stop exactly what `penstock up` started.",
    "migrate": "Bring the schema of the books to the version of this Penstock.",
    "status": "Show each running part: pid, port, memory, health.",
    "doctor": "Check the machine and the installation, and say what to do.",
    "train": "Train a candidate for one period and offer it to the gate.",
    "publish": "Extract replicated tables and make them current in TEST and PROD.",
    "releases": "Show the release ledger of a model.",
    "rollback": "Make an earlier release current again.",
    "requests": "Print real requests that a backend would send next.",
    "predict": "Ask the running service for a prediction.",
    "explain": "Say what each feature contributed to a journaled prediction.",
    "replay": "Make journaled predictions again and compare their bits.",
    "verify": "Compare the books with the snapshots, bit by bit.",
    "advise": "Say what an extract or lookup would cost to serve.",
    "card": "Print the model card of a release.",
    "deploy": "Bring code and configuration onto the running service, or go back.",
    "serve": "Serve in the foreground, with logs on standard output, as a container does.",
    "render": "Print what a cluster of others runs the project with: Serve config, environment, Kubernetes.",
    "backup": "Copy books and stores, at one point in time, into a folder.",
    "restore": "Bring a backup into an empty place.",
    "apply": "Bring the edited Ray Serve configuration alone onto the running service.",
}


ELSEWHERE = {"init": "penstock.scaffold.command", "new": "penstock.scaffold.new_command"}
"""Commands that are no modules of `commands/`: their rooms stand beside this one."""


class Commands(click.Group):
    """Commands as modules, each imported when it is used; only those that exist are offered."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """The commands in the order in which a newcomer meets them."""
        return [name for name in COMMANDS if find_spec(_module(name))]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The one command that the module of that name declares."""
        if cmd_name not in self.list_commands(ctx):
            return None
        declared = vars(importlib.import_module(_module(cmd_name))).values()
        command = next(value for value in declared if isinstance(value, click.Command))
        command.context_settings = {"help_option_names": ["-h", "--help"], **command.context_settings}
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table of commands, without loading any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name]) for name in self.list_commands(ctx)])


def _module(name: str) -> str:
    return ELSEWHERE.get(name, f"penstock.cli.commands.{name}")


@click.command(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with `penstock init DIR`, then `penstock up` there. "
    "Every command says more, with an example: penstock COMMAND --help.",
)
@click.version_option(package_name="penstock")
def penstock() -> None:
    """Takes a predictive model to production and keeps it there."""
    warn_of_unknown_variables()


def main() -> None:
    """The entry point: a failure becomes one message on stderr and exit code 1, never a traceback.

    What nobody expected is one sentence too, with the log that holds the traceback; PENSTOCK_DEBUG=1 shows it at once.
    """
    try:
        with without_finalizing(), ended_by_signals():
            penstock(prog_name="penstock")
    except PenstockError as error:
        _refuse(str(error))
    except ModuleNotFoundError as error:
        sentence = missing_extra(error)
        if not sentence:
            _unexpected(error)
        _refuse(sentence)
    except OSError as error:
        if error.errno not in {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR}:
            _unexpected(error)
        _refuse(f"{error.filename or 'the disk'}: {error.strerror}. See `penstock doctor`.")
    except Exception as error:
        if _lacks_a_privilege(error):
            _refuse(f"Postgres: {_first_line(error)}. `penstock doctor` names what the connected role lacks.")
        if _store_is_away(error):
            _refuse(f"store: {_first_line(error)}. `penstock doctor` asks both stores.")
        if not _database_is_away(error):
            _unexpected(error)
        _refuse(f"Postgres: {_first_line(error)}. See `penstock status`.")


def _unexpected(error: Exception) -> NoReturn:
    """Say an error that no command foresaw, and keep its traceback where it can be read."""
    if is_set(DEBUG):
        raise error
    text = "".join(traceback.format_exception(error))
    words = f"{type(error).__name__}: {str(error).strip()}"[:1000]
    try:
        log = load().home / "logs" / "penstock.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a") as file:
            file.write(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} {' '.join(sys.argv[1:2])}\n{text}\n")
    except (PenstockError, OSError):
        _refuse(f"{words}. PENSTOCK_DEBUG=1 shows where.")
    _refuse(f"{words}. {log} says where.")


def _refuse(message: str) -> NoReturn:
    click.secho("penstock: ", fg="red", bold=True, nl=False, err=True)
    click.echo(message, err=True)
    sys.exit(1)


def _first_line(error: Exception) -> str:
    """What Postgres says, without SQLAlchemy's frame."""
    return str(getattr(error, "orig", error)).strip().splitlines()[0]


def _lacks_a_privilege(error: Exception) -> bool:
    """Whether Postgres says that the connected role may not do what was tried (SQLSTATE 42501)."""
    return getattr(getattr(error, "orig", error), "sqlstate", None) == "42501"


def _store_is_away(error: Exception) -> bool:
    """Whether the client of a store, whichever is installed, says that it cannot be read or written."""
    return type(error).__module__.partition(".")[0] in {"botocore", "aiobotocore", "s3fs", "gcsfs", "adlfs", "azure"}


def _database_is_away(error: Exception) -> bool:
    """Whether a database client that is already loaded says that the server cannot be reached."""
    kinds = (("psycopg", "OperationalError"), ("sqlalchemy.exc", "OperationalError"))
    loaded = tuple(getattr(sys.modules[module], name) for module, name in kinds if module in sys.modules)
    return isinstance(error, loaded)


if __name__ == "__main__":
    main()
