"""One deploy in a process of its own, which goes on when its terminal ends: `python -m penstock.serving.deploying.run`.

It reads a Target from its standard input, and writes an DeployResult to its standard output.
"""

import contextlib
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import psycopg

from penstock.errors import PenstockError
from penstock.file_lock import file_lock
from penstock.postgres.book import Book
from penstock.postgres.migrations import check_version
from penstock.project import containing
from penstock.releases.ledger import fitting_contracts
from penstock.serving.deploying import serve_config
from penstock.serving.deploying.code_check import CodeCheck, away, check_code, lost_by, served_by
from penstock.serving.deploying.code_copy import Code
from penstock.serving.deploying.history import Deploy, History, Roll
from penstock.serving.deploying.serve_config import ServeConfigError
from penstock.serving.deploying.target import LOCK, DeployResult, Target
from penstock.serving.on_ray import apply as serve
from penstock.serving.on_ray.environment import code_environment
from penstock.serving.on_ray.loopback import LOOPBACK
from penstock.serving.on_ray.remote import Remote, is_url
from penstock.settings import Settings, load


def run(wanted: Target, settings: Settings) -> DeployResult:
    """Check, deploy, wait until it serves, and write it down; what does not come to serve is undone."""
    history, host, port = History(settings.home), settings.http_host, settings.http_port
    before = history.running(wanted.head)
    number = before.number if before else 0
    try:
        config = serve_config.read(wanted.config, wanted.name, host, port, before.config if before else "")
        books = [Book(name, settings.demand_url(name)) for name in serve_config.books(config)]
        for book in books:
            check_version(f"book {book.name}", book.version())
        check = check_code(containing(Path(wanted.code.folder)), _import_paths(config), books)
        fitting = {model: found for book in books for model, found in fitting_contracts(book).items()}
        running = before.contracts if before else {}
        if faults := [*check.application, *(lost_by(check, running, fitting) if before else ())]:
            return DeployResult(number, refused="\n".join(faults))
        cpus = Remote(wanted.head).cpus() if is_url(wanted.head) else serve.connect(wanted.head)
        if lacking := serve_config.lacking_cpus(config, cpus, spare=before is not None):
            return DeployResult(number, refused=lacking)
    except (ServeConfigError, PenstockError) as error:
        return DeployResult(number, refused=str(error))
    except psycopg.Error as error:
        return DeployResult(number, refused=away(error))
    history.begin(Roll(wanted.code.folder, tuple(sorted(_expected(check, running, fitting)))))
    try:
        _apply(config, settings.home, wanted, wanted.code)
    except Exception as error:
        if before:
            _apply(serve_config.read(before.config, "", host, port), settings.home, wanted, before.code)
        return DeployResult(number, failed=str(error))
    finally:
        history.end()
    gone = served_by(running, fitting) - check.contracts.keys()
    told = [f"model {model!r} is no longer served: nothing of this code declares it." for model in sorted(gone)]
    return DeployResult(_keep(history, wanted, check), warnings=(*check.broken, *check.unfit.values(), *told))


def _expected(check: CodeCheck, running: Mapping[str, str], fitting: Mapping[str, set[str]]) -> set[str]:
    """The models that are served, and that the new code can serve."""
    return served_by(running, fitting) & check.contracts.keys() - check.unfit.keys()


def _import_paths(config: Mapping[str, Any]) -> list[str]:
    return [application["import_path"] for application in config["applications"]]


def _apply(config: dict[str, Any], home: Path, wanted: Target, code: Code) -> None:
    if not is_url(wanted.head):
        config["http_options"]["host"] = LOOPBACK  # of replicas and Ray's own proxy: HAProxy listens at the host
        serve_config.add_variables(config, code_environment(home, Path(code.folder)))
        serve.apply(config)
        return
    cluster = Remote(wanted.head)
    if wanted.upload:
        uploaded = cluster.upload(code.folder)
        serve_config.add_variables(config, uploaded.pop("env_vars"))
        for application in config["applications"]:
            application["runtime_env"] |= uploaded
    cluster.apply(config)


def _keep(history: History, wanted: Target, check: CodeCheck) -> int:
    target = history.newest(1) if wanted.back else None
    number = target.number if target else 0
    deploy = Deploy(number, datetime.now(UTC), wanted.code, wanted.config, check.contracts, wanted.head)
    if target is None:
        return history.add(deploy)
    history.go_back(deploy)
    return number


def main() -> None:
    """Run what standard input says. What the project's code prints goes to the log."""
    out, settings = sys.stdout, load()
    with contextlib.redirect_stdout(sys.stderr), file_lock(settings.home / "deploys" / LOCK, "another deploy"):
        result = run(msgspec.json.decode(sys.stdin.buffer.read(), type=Target), settings)
    out.write(msgspec.json.encode(result).decode())


if __name__ == "__main__":
    main()
