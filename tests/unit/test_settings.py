"""Settings come from variables and flags; what is wrong is said at once, each with its name."""

from pathlib import Path

import pytest

from flower_engine.errors import SettingsError
from flower_engine.runtime.settings import load_settings, unknown_variables


def test_names_are_separated_by_commas_in_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWER_QUEUES", "fast, slow,")
    monkeypatch.setenv("FLOWER_PROGRAMS", "shop.programs")
    settings = load_settings()
    assert settings.queues == ("fast", "slow")
    assert settings.programs == ("shop.programs",)


def test_names_are_repeated_as_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWER_QUEUES", "unseen")
    assert load_settings(queues=["fast", "slow,slower"]).queues == ("fast", "slow", "slower")


def test_a_flag_that_is_not_given_leaves_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWER_PORT", "9000")
    assert load_settings(port=None).port == 9000
    assert load_settings(port=9001).port == 9001


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FLOWER_PROGRAMS", "FLOWER_PORT", "FLOWER_REDIS_URL"):
        monkeypatch.setenv(name, "")
    assert load_settings() == load_settings(port=8000)


def test_everything_that_is_wrong_is_said_at_once_with_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWER_PORT", "tcp://10.0.0.1:80")
    monkeypatch.setenv("FLOWER_LOG_LEVEL", "chatty")
    monkeypatch.setenv("FLOWER_LEASE_SECONDS", "6")
    with pytest.raises(SettingsError) as error:
        load_settings(database_url="mysql://user:secret@host/db", heartbeat_seconds=3.0, queues=" ,")
    message = str(error.value)
    for part in (
        "FLOWER_PORT = 'tcp://10.0.0.1:80': ",
        "FLOWER_LOG_LEVEL = 'CHATTY': ",
        "FLOWER_DATABASE_URL: should begin with postgresql://",
        "FLOWER_HEARTBEAT_SECONDS = 3.0: should be less than half of FLOWER_LEASE_SECONDS (6)",
        "FLOWER_QUEUES",
    ):
        assert part in message
    assert "secret" not in message


def test_settings_handed_to_a_child_arrive_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWER_LEASE_SECONDS", "20")
    settings = load_settings(queues=("a", "b"), programs=(), home=Path("/data"), port=0, log_level="debug")
    for name, value in settings.as_environment().items():
        monkeypatch.setenv(name, value)
    assert load_settings() == settings


def test_variables_that_are_no_settings_are_named_with_what_was_meant() -> None:
    given = {"FLOWER_REDIS_ULR": "", "FLOWER_MOON": "", "FLOWER_PORT": "", "OTHER": ""}
    assert unknown_variables(given) == [
        "FLOWER_MOON is not a setting and is ignored",
        "FLOWER_REDIS_ULR is not a setting and is ignored (is it FLOWER_REDIS_URL?)",
    ]
