"""Who runs the embedded server, and where its programs and data lie, in places that others may not enter."""

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from penstock.postgres import account as postgres_account
from penstock.postgres import programs as postgres_programs
from penstock.postgres.account import PLAIN, PostgresError, account
from penstock.postgres.data import find_data, place_data
from penstock.postgres.programs import programs
from penstock.postgres.server import DEFAULTS, PostgresServer

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become another account")
Make = Callable[[Path], PostgresServer]


@pytest.fixture
def make(slow: None) -> Iterator[Make]:
    """A function that returns the server of a home; all are stopped, and their private folders removed."""
    made: list[PostgresServer] = []

    def server(home: Path) -> PostgresServer:
        made.append(PostgresServer(home / "postgres", home / "logs" / "postgres.log", {**DEFAULTS, "fsync": "off"}))
        return made[-1]

    yield server
    for each in made:
        each.remove()


def _works(server: PostgresServer) -> bool:
    with psycopg.connect(server.url("postgres")) as connection:
        return connection.execute("SELECT 1").fetchone() == (1,)


@as_root
def test_below_a_folder_that_only_root_may_enter_data_lie_in_a_private_place(tmp_path: Path, make: Make) -> None:
    (tmp_path / "root").mkdir(mode=0o700)
    server = make(tmp_path / "root" / "home")
    server.start()
    assert _works(server)
    assert server.data.is_symlink()
    assert server.folder.stat().st_uid == account().uid
    assert stat.S_IMODE(server.folder.stat().st_mode) == 0o700
    assert (server.folder.parent / "home").read_text() == f"{tmp_path}/root/home\n"
    assert server.stop()
    assert server.start(), "its state is found again"
    assert _works(server)


@as_root
def test_the_server_runs_as_nobody_and_has_no_rights_beyond_its_own_files(tmp_path: Path, make: Make) -> None:
    (tmp_path / "root").mkdir(mode=0o700)
    server = make(tmp_path / "root")
    server.start()
    process = psutil.Process(server.pid())
    assert set(process.uids()) == {account().uid}
    assert set(process.gids()) == {account().gid}
    status = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    rights = {line.split()[0]: line.split()[1:] for line in status if line.startswith(("Cap", "Groups"))}
    assert rights["CapEff:"] == rights["CapPrm:"] == rights["CapAmb:"] == ["0" * 16]
    assert rights["Groups:"] == []
    own = process.environ()
    assert own.keys() >= {"PATH", "LC_ALL"}
    secrets = own.keys() - {"PATH", "LC_ALL", "PWD", "PGDATA"}
    assert {name[:2] for name in secrets} <= {"PG"}, "it has the environment of nobody else"


@as_root
def test_data_from_before_the_folder_was_closed_move_along(tmp_path: Path, make: Make) -> None:
    home = Path("/tmp") / f"penstock-test-{os.getpid()}"
    home.mkdir()
    home.chmod(0o755)  # whatever the umask
    try:
        server = make(home)
        server.start()
        assert not server.data.is_symlink()
        with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 7 AS x")
        server.stop()
        home.chmod(0o700)
        server.start()
        assert server.data.is_symlink()
        with psycopg.connect(server.url("postgres")) as connection:
            assert connection.execute("SELECT x FROM kept").fetchone() == (7,)
    finally:
        server.remove()
        shutil.rmtree(home)


@as_root
def test_a_home_that_was_moved_keeps_its_data_and_a_copy_is_refused(tmp_path: Path, make: Make) -> None:
    first = tmp_path / "root" / "first"
    first.mkdir(parents=True, mode=0o700)
    first.parent.chmod(0o700)
    make(first).start()
    make(first).stop()
    shutil.copytree(first, first.with_name("copy"), symlinks=True)
    with pytest.raises(PostgresError, match=r"expected data of its own, found the data of .*/first, of which"):
        make(first.with_name("copy")).start()
    (first.with_name("copy") / "postgres").unlink()  # so that the data of the first are not removed with it
    first.rename(first.with_name("moved"))
    moved = make(first.with_name("moved"))
    moved.start()
    assert (moved.folder.parent / "home").read_text() == f"{first.with_name('moved')}\n"


@as_root
def test_private_data_that_are_gone_are_named(tmp_path: Path, make: Make) -> None:
    (tmp_path / "postgres").symlink_to(tmp_path / "gone" / "data")
    with pytest.raises(PostgresError, match=r"expected the data of the embedded Postgres in .*/gone/data, found no"):
        make(tmp_path).start()
    (tmp_path / "postgres").unlink()


@pytest.mark.slow
@as_root
def test_programs_that_nobody_can_reach_are_copied_whole_and_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = postgres_programs._installed()
    hidden = tmp_path / "hidden"
    for part in (postgres_programs.PACKAGE, f"{postgres_programs.PACKAGE}.libs"):
        for source in (installed.parents[2] / part).rglob("*"):
            if "pginstall/" not in str(source) and not source.is_dir():
                target = hidden / source.relative_to(installed.parents[2])
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)
                target.chmod(target.stat().st_mode & 0o700)
    place = Path("/tmp") / f"penstock-test-programs-{os.getpid()}"
    monkeypatch.setattr(postgres_programs, "_installed", lambda: hidden / installed.relative_to(installed.parents[2]))
    monkeypatch.setattr(postgres_programs, "private_parents", lambda: iter([Path("/proc/none"), place]))
    try:
        found = programs.__wrapped__()
        assert found.is_relative_to(place)
        assert account().runs([str(found / "initdb"), "--version"])
        assert [path.name for path in place.iterdir()] == [found.parents[2].name], "nothing is left of the work"
        inode = (found / "postgres").stat().st_ino
        assert (programs.__wrapped__() / "postgres").stat().st_ino == inode
    finally:
        shutil.rmtree(place, ignore_errors=True)


def test_an_interrupted_initdb_leaves_nothing_that_counts(tmp_path: Path, make: Make) -> None:
    server = make(tmp_path)
    folder = place_data(server.data)
    half = folder.with_name(f"{folder.name}.new")
    half.mkdir()
    (half / "PG_VERSION").write_text("18\n")
    server.start()
    assert _works(server)
    assert not half.exists()


def test_other_files_in_the_data_folder_are_refused_and_kept(tmp_path: Path, make: Make) -> None:
    server = make(tmp_path)
    other = place_data(server.data) / "letters.txt"
    other.write_text("mine")
    with pytest.raises(PostgresError, match="expected data of Postgres 18, or an empty folder, found other files"):
        server.start()
    assert other.read_text() == "mine"


@pytest.mark.parametrize(
    "name", ["with a space", 'it\'s "quoted" $HOME `x`', "größe 日本", "50%#1:2", "a,b;c&d", "long" * 50, "back\\slash"]
)
def test_any_path_will_do(tmp_path: Path, make: Make, name: str) -> None:
    server = make(tmp_path / name)
    server.start()
    assert _works(server)
    assert PLAIN.fullmatch(server.url("postgres").partition("host=")[2].replace("%2F", "/"))
    assert find_data(server.data).exists()


def test_a_private_folder_of_another_user_is_not_used(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        tmp_path.chmod(0o755)
        other = tmp_path / "other"
        other.mkdir()
        os.chown(other, 12345, 12345)
    else:
        other = Path("/usr")
    with pytest.raises(PermissionError):
        postgres_account.make_parent(other)
