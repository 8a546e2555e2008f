"""A data folder is held by one engine at a time, and tells others what runs in it."""

import os
import pwd
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from flower_engine.embedded.home import Home, RunningStores
from flower_engine.embedded.processes import ProcessMark
from flower_engine.errors import HomeInUseError, StoreError

HOLDER = """
import subprocess, sys, time
from pathlib import Path
from flower_engine.embedded.home import Home
Home(Path(sys.argv[1])).acquire()
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
time.sleep(600)
"""


def test_a_second_holder_is_refused_with_the_folder_and_the_process_named(tmp_path: Path) -> None:
    with Home(tmp_path), pytest.raises(HomeInUseError) as refusal:
        Home(tmp_path).acquire()
    assert str(tmp_path) in str(refusal.value)
    assert f"process {os.getpid()}" in str(refusal.value)


def test_a_released_folder_can_be_held_again(tmp_path: Path) -> None:
    for _ in range(2):
        with Home(tmp_path):
            pass


def test_kill_9_of_the_holder_frees_the_folder_though_its_child_lives(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDER, tmp_path], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        child = int(holder.stdout.readline())
        with pytest.raises(HomeInUseError, match=f"process {holder.pid}"):
            Home(tmp_path).acquire()
        holder.kill()
        holder.wait()
        try:
            os.kill(child, 0)  # it lives
            with Home(tmp_path):
                pass
        finally:
            os.kill(child, signal.SIGKILL)


def test_a_folder_is_private_and_keeps_out_of_version_control(tmp_path: Path) -> None:
    with Home(tmp_path / "home") as home:
        assert home.path.stat().st_mode & 0o777 == 0o700
        assert (home.path / ".gitignore").read_text() == "*\n"


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=str(tmp_path / "file" / "home")):
        Home(tmp_path / "file" / "home").acquire()


def test_announced_addresses_are_found_until_they_are_withdrawn(tmp_path: Path) -> None:
    stores = RunningStores(ProcessMark.of(os.getpid()), "unix:///a", "postgresql:///b", "http://c")
    with Home(tmp_path) as home:
        assert Home(tmp_path).announced() is None
        home.announce(stores)
        assert Home(tmp_path).announced() == stores
        assert (home.run / "stores.json").stat().st_mode & 0o777 == 0o600
        home.withdraw()
        assert Home(tmp_path).announced() is None


def test_what_a_killed_engine_announced_is_not_believed(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    mark = ProcessMark.of(dead.pid)
    dead.kill()
    dead.communicate()
    with Home(tmp_path) as home:
        home.announce(RunningStores(mark, "unix:///a", "postgresql:///b"))
        assert home.announced() is None
        reused = ProcessMark(os.getpid(), started=mark.started - 1000)
        home.announce(RunningStores(reused, "unix:///a", "postgresql:///b"))
        assert home.announced() is None


def test_a_socket_gets_a_short_folder_where_the_data_folder_is_too_deep(tmp_path: Path) -> None:
    with Home(tmp_path / ("deep" * 30)) as home:
        folder = home.socket_folder("store", "a.sock")
        assert len(str(folder)) < 90
        assert folder.stat().st_mode & 0o777 == 0o700
        assert home.socket_folder("store", "a.sock") == folder  # a restarted store keeps its address
        (folder / "a.sock").touch()
    with Home(home.path) as later:  # the folder of a killed engine is removed by the next
        later.remove_socket_folder("store")
    assert not folder.exists()


def test_a_lock_that_is_a_link_is_not_followed_and_its_target_stays(tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("precious")
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    (home / "lock").symlink_to(target)
    with pytest.raises(StoreError, match="it is a link"):
        Home(home).acquire()
    assert target.read_text() == "precious"


@pytest.mark.parametrize("text", ["precious", "12\nprecious", "1" * 40])
def test_a_lock_that_is_somebodys_file_is_left_as_it_is(tmp_path: Path, text: str) -> None:
    lock = tmp_path / "lock"
    lock.write_text(text)
    with pytest.raises(StoreError, match="no lock file of Flower"):
        Home(tmp_path).acquire()
    assert lock.read_text() == text


def test_a_lock_with_another_name_elsewhere_is_left_as_it_is(tmp_path: Path) -> None:
    target = tmp_path / "numbers"
    target.write_text("4711\n")
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    (home / "lock").hardlink_to(target)
    with pytest.raises(StoreError, match="another name"):
        Home(home).acquire()
    assert target.read_text() == "4711\n"


def test_a_lock_that_is_a_pipe_or_a_folder_holds_nobody_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "lock")
    with pytest.raises(StoreError, match="it is no file"):
        Home(tmp_path).acquire()
    (tmp_path / "lock").unlink()
    (tmp_path / "lock").mkdir()
    with pytest.raises(StoreError, match="no lock file"):
        Home(tmp_path).acquire()


def test_an_ignore_file_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    (home / ".gitignore").symlink_to(tmp_path / "made")
    with Home(home):
        assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("inner", ["", "run", "log"])
def test_a_folder_that_everybody_can_write_is_refused_with_what_to_do(tmp_path: Path, inner: str) -> None:
    home = tmp_path / "home"
    with Home(home):
        pass
    (home / inner).chmod(0o777)
    with pytest.raises(StoreError, match="everybody can write") as refused:
        Home(home).acquire()
    assert f"chmod go-w {home / inner}" in str(refused.value)


def test_what_a_folder_says_that_everybody_can_write_is_not_believed(tmp_path: Path) -> None:
    stores = RunningStores(ProcessMark.of(os.getpid()), "unix:///a", "postgresql:///b")
    with Home(tmp_path / "home") as home:
        home.announce(stores)
        home.run.chmod(0o777)
        with pytest.raises(StoreError, match="everybody can write"):
            home.announced()


def test_a_folder_that_a_group_can_write_is_refused_if_the_group_has_others(tmp_path: Path) -> None:
    lonely, shared = 61_234, _a_group_of_somebody()
    home = tmp_path / "home"
    home.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root may give a folder to another group")
    os.chown(home, -1, lonely)  # as where each user has a group of his own, and umask 002
    home.chmod(0o775)
    with Home(home):
        pass
    os.chown(home, -1, shared)
    home.chmod(0o775)
    with pytest.raises(StoreError, match=r"group .* can write"):
        Home(home).acquire()


def _a_group_of_somebody() -> int:
    return next(one.pw_gid for one in pwd.getpwall() if one.pw_uid != 0 and one.pw_gid != 0)
