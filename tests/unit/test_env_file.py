"""The .env of the working folder fills in variables, unless others can write it."""

import os
from pathlib import Path

import pytest

from flower_engine.errors import SettingsError
from flower_engine.runtime import env_file


def _write(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / ".env"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_it_fills_in_what_is_not_set_and_says_so(tmp_path: Path) -> None:
    path = _write(
        tmp_path, "FLOWER_PORT=9000\nexport FLOWER_QUEUES='a, b' # mine\nOTHER=1\nFLOWER_HOST=::1\n"
    )
    environment = {"FLOWER_HOST": "", "PATH": "/bin"}
    env_file.load(tmp_path, environment)
    assert environment == {
        "FLOWER_HOST": "",  # real variables win, one that says "not set" too
        "PATH": "/bin",
        "FLOWER_PORT": "9000",
        "FLOWER_QUEUES": "a, b",
    }
    assert env_file.said() == [
        f"read from {path}: FLOWER_PORT, FLOWER_QUEUES",
        f"set already, so not taken from {path}: FLOWER_HOST",
    ]


def test_values_are_taken_as_they_stand(tmp_path: Path) -> None:
    _write(tmp_path, "FLOWER_REDIS_URL=redis://:a${HOME}b%20@h/0\n")
    environment: dict[str, str] = {}
    env_file.load(tmp_path, environment)
    assert environment["FLOWER_REDIS_URL"] == "redis://:a${HOME}b%20@h/0"


def test_without_the_file_nothing_is_said(tmp_path: Path) -> None:
    env_file.load(tmp_path, {})
    assert env_file.said() == []


@pytest.mark.parametrize(("folder_mode", "file_mode"), [(0o777, 0o600), (0o1777, 0o600), (0o700, 0o666)])
def test_one_that_others_can_write_is_ignored_with_what_to_do(
    tmp_path: Path, folder_mode: int, file_mode: int
) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    _write(folder, "FLOWER_PROGRAMS=evil\n", file_mode)
    folder.chmod(folder_mode)
    environment: dict[str, str] = {}
    env_file.load(folder, environment)
    assert environment == {}
    (said,) = env_file.said()
    assert "is ignored: everybody can write" in said
    assert "chmod go-w" in said


def test_a_file_behind_a_link_is_judged_itself(tmp_path: Path) -> None:
    elsewhere = _write(tmp_path, "FLOWER_PROGRAMS=evil\n", 0o666)
    folder = tmp_path / "mine"
    folder.mkdir(mode=0o700)
    (folder / ".env").symlink_to(elsewhere)
    environment: dict[str, str] = {}
    env_file.load(folder, environment)
    assert environment == {}


def test_a_pipe_in_its_place_holds_nobody_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".env", 0o600)
    env_file.load(tmp_path, {})
    assert "is no file" in env_file.said()[0]


def test_one_that_is_no_text_is_an_error(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"FLOWER_PORT=\xff")
    with pytest.raises(SettingsError, match="no UTF-8"):
        env_file.load(tmp_path, {})
