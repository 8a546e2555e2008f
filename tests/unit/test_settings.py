"""Settings come from variables and flags; what is wrong is said at once, each with its name."""

from pathlib import Path

import pytest

from flower_engine.errors import SettingsError
from flower_engine.runtime.settings import Settings, variable
from flower_engine.runtime.settings_loading import load_settings, unknown_variables


def test_names_are_separated_by_commas_in_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWER_QUEUES", "fast, slow,")
    monkeypatch.setenv("FLOWER_PROGRAMS", "shop.programs")
    settings = load_settings()
    assert settings.queues == ("fast", "slow")
    assert settings.programs == ("shop.programs",)


def test_small_letters_do_in_the_name_of_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("flower_port", "9000")
    monkeypatch.setenv("FLOWER_HOST", "::1")
    assert (load_settings().port, load_settings().host) == (9000, "::1")


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


_OF_NUMBERS = (str(int), str(float), str(int | None), str(float | None))
NUMBERS = sorted(
    name for name, field in Settings.model_fields.items() if str(field.annotation) in _OF_NUMBERS
)
NO_NUMBERS = ["inf", "-inf", "nan", "1e300", "1e-300", "-1", "9" * 5_000, "0x1"]


@pytest.mark.parametrize("value", NO_NUMBERS)
def test_a_number_that_no_setting_can_mean_is_refused_for_each_of_them(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for those that go down to nothing at all."""
    for name in NUMBERS:
        monkeypatch.setenv(variable(name), value)
    with pytest.raises(SettingsError) as refused:
        load_settings()
    words = str(refused.value)
    almost_nothing = ("grace_seconds", "log_tail_hours", "park_hours")
    for name in NUMBERS:
        if value == "1e-300" and name in almost_nothing:
            continue
        assert f"{variable(name)} = " in words, name
    assert len(words) < 10_000


ADDRESSES = [
    ("redis_url", "redis://host:abc/0", "a port, a number"),
    ("redis_url", "redis://host:0/0", "port 0"),
    ("redis_url", "redis://host:70000/0", "a port, a number"),
    ("redis_url", "redis://[::1/0", "a port, a number"),
    ("redis_url", "redis://host/one", "number of a database"),
    ("redis_url", "redis://host/1/2", "number of a database"),
    ("redis_url", "redis://a:1,b:2/0", "several servers"),
    ("redis_url", "redis://:pass#word@host/0", "%23"),
    ("redis_url", "redis://host/0?colour=red", "colour"),
    ("redis_url", "redis://host/0?decode_responses=true", "Flower's to set"),
    ("redis_url", "rediss://host/0?ssl_cert_reqs=maybe", "cannot be used"),
    ("redis_url", "unix://", "path of a socket"),
    ("redis_url", "redis+sentinel://a:1", "mymaster/0"),
    ("redis_url", "redis+other://a:1", "should begin with redis://"),
    ("database_url", "postgresql://u:p%zz@host/db", "percent-encoded"),
    ("database_url", "postgresql://u:p@ss@host/db", "%40"),
    ("database_url", "postgresql://u:p/ss@host/db", "port should be a number"),
    ("database_url", "postgresql://host:abc/db", "port should be a number"),
    ("database_url", "postgresql://host/db?colour=red", "colour"),
    ("database_url", "host=h password=hunter2", "should begin with postgresql://"),
]


@pytest.mark.parametrize(("field", "address", "words"), ADDRESSES)
def test_an_address_that_its_library_cannot_use_is_refused_with_the_reason(
    field: str, address: str, words: str
) -> None:
    with pytest.raises(SettingsError, match="settings are wrong") as refused:
        load_settings(**{field: address})
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("field", "address"),
    [
        ("redis_url", "redis://:p%40ss@[::1]:6379/2?health_check_interval=5"),
        ("redis_url", "rediss://user:word@host"),
        ("redis_url", "unix://user@/run/redis.sock?db=0&password=word"),
        ("database_url", "postgresql://u:p%40%2Fss@[::1]:5432,other:5433/db?target_session_attrs=read-write"),
        ("database_url", "postgres:///db?host=%2Frun%2Fpg&connect_timeout=3"),
        ("database_url", "postgresql://u:@host/db"),
    ],
)
def test_an_address_that_is_right_is_taken(field: str, address: str) -> None:
    assert getattr(load_settings(**{field: address}), field) == address


@pytest.mark.parametrize(
    ("blobs", "words"),
    [
        ("memory://blobs", "the memory of one process"),
        ("api,memory:/blobs", "the memory of one process"),
        ("file://blobs", "write an absolute path"),
        ("local://./blobs", "write an absolute path"),
        ("blobs", "neither api nor a URL"),
    ],
)
def test_a_store_of_blobs_that_others_do_not_find_is_refused(blobs: str, words: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings(blobs=blobs)
    assert words in str(refused.value)
    assert load_settings(blobs="api,file:///srv/blobs").blobs == ("api", "file:///srv/blobs")


@pytest.mark.parametrize(
    ("queues", "words"),
    [
        ("a=nan", "weight of queue 'a' is 'nan'"),
        ("a=inf", "weight of queue 'a' is 'inf'"),
        ("a=1e3", "weight of queue 'a' is '1e3'"),
        ("a=-1", "weight of queue 'a' is '-1'"),
        ("a=0", "weight of queue 'a' is '0'"),
        ("a=1001", "weight of queue 'a' is '1001'"),
        ("a=", "weight of queue 'a' is ''"),
        ("a=b", "a=b=1"),
        ("=3", "no name of a queue"),
        ("a=1,a=2", "queue 'a' stands twice"),
    ],
)
def test_a_weight_that_is_none_is_no_part_of_a_name(queues: str, words: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings(queues=queues)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        ("ann:qwertyuiop,bob:qwertyuiop:read", "entries 1 and 2 have the same token"),
        ("ann:one,ann:two", "a name stands twice"),
        ("an\nn:one", "the name of entry 1"),
        ("an n:one", "the name of entry 1"),
        ("a\u202enn:one", "the name of entry 1"),
        ("ann:on\ne", "the token of entry 1"),
        ("ann:öne", "the token of entry 1"),
        ("hunter2xyzzy", "entry 1 should be name:token"),
        ("ann:hunter2xyzzy:admin", "entry 1 should be name:token"),
        (f"{'a' * 101}:one", "at most 100 characters"),
    ],
)
def test_a_token_that_nobody_could_send_or_tell_apart_is_refused_and_not_shown(
    tokens: str, words: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings(api_tokens=tokens)
    assert words in str(refused.value)
    assert "hunter2" not in str(refused.value)
