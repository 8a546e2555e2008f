"""Settings that are secrets may stand in files: one rule, whoever reads them."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from flower_engine.client import Client
from flower_engine.errors import SettingsError
from flower_engine.runtime.settings import Settings, variable
from flower_engine.runtime.settings_loading import load_settings, unknown_variables
from flower_engine.secret_files import FILE_VARIABLES, SECRET_SETTINGS, own_token
from flower_engine.secrets import hide_secrets
from unit.pages import DOCS


def _file(folder: Path, name: str, content: str | bytes) -> str:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def test_every_setting_that_is_a_secret_may_stand_in_a_file() -> None:
    secret = {
        name
        for name, field in Settings.model_fields.items()
        if not field.repr or SecretStr.__name__ in str(field.annotation)
    }
    assert set(SECRET_SETTINGS) == secret | {"api_tokens"}
    page = (DOCS / "settings.md").read_text()
    assert [name for name in FILE_VARIABLES if f"`{name}`" not in page] == []


def test_what_stands_in_files_is_what_the_variables_would_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, tokens = "postgresql://flower:vErY-sEcReT-1@db/flower", "me:one-token\nci:two-token:read,\r\n"
    links = "a-new-one-of-links an-old-one-of-links"
    monkeypatch.setenv("FLOWER_DATABASE_URL_FILE", _file(tmp_path, "url", f"{url}\n"))
    monkeypatch.setenv("FLOWER_API_TOKENS_FILE", _file(tmp_path, "tokens", tokens))
    monkeypatch.setenv("FLOWER_LINK_SECRET_FILE", _file(tmp_path, "links", links))
    settings = load_settings()
    assert settings.database_url == url
    assert [str(token) for token in settings.api_tokens] == ["me:one-token", "ci:two-token:read"]
    assert settings.link_secret == SecretStr(links)
    assert unknown_variables() == []
    assert hide_secrets("vErY-sEcReT-1 one-token") == "*** ***"


def test_a_token_of_a_file_is_sent_by_clients_and_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLOWER_TOKEN_FILE", _file(tmp_path, "token", "of-a-file\n"))
    assert own_token() == "of-a-file"
    monkeypatch.setenv("FLOWER_TOKEN", "of-a-variable")
    with pytest.raises(SettingsError, match="FLOWER_TOKEN and FLOWER_TOKEN_FILE are both set"):
        Client("http://127.0.0.1:1")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read: No such file"),
        (b" \n", "is empty"),
        (b"a\0b", "holds a zero byte"),
        (b"\xff\xfe", "is no file of UTF-8"),
        (b"x" * 70_000, "is longer than 65536 bytes"),
    ],
)
def test_a_file_that_holds_no_secret_is_said_with_everything_else_that_is_wrong(
    content: bytes | None, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "none") if content is None else _file(tmp_path, "token", content)
    monkeypatch.setenv("FLOWER_TOKEN_FILE", path)
    monkeypatch.setenv("FLOWER_PORT", "many")
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert "FLOWER_TOKEN_FILE: " in str(refused.value)
    assert words in str(refused.value)
    assert "FLOWER_PORT = 'many'" in str(refused.value)


def test_what_is_wrong_in_a_file_is_said_without_what_stands_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLOWER_REDIS_URL_FILE", _file(tmp_path, "url", "redis://:hidden-word@host:0/0"))
    with pytest.raises(SettingsError, match=f"{variable('redis_url')}: .*port 0") as refused:
        load_settings()
    assert "hidden-word" not in str(refused.value)
    assert load_settings(redis_url="redis://other/0").redis_url == "redis://other/0", "a flag wins"
