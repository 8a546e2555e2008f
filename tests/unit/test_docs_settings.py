"""``docs/settings.md`` and the help of the flags say what the settings are, and all of them."""

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic.fields import FieldInfo
from typer.models import OptionInfo

from flower_cli import options
from flower_engine.runtime.settings import Settings, variable
from unit.flower_commands import COMMANDS, flags_of
from unit.pages import DOCS, rows, source_files

FIELDS = Settings.model_fields
OPTIONS: dict[str, OptionInfo] = {
    name: option
    for name, hint in vars(options).items()
    if name.endswith("Option")
    for option in hint.__metadata__
}


def _text(value: Any) -> str:
    if value is None or value == ():
        return "not set"
    if isinstance(value, tuple):
        return ",".join(value)  # pyright: ignore[reportUnknownArgumentType]
    if isinstance(value, str | Path):
        return str(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _bounds(field: FieldInfo) -> str:
    least = [bound.ge for bound in field.metadata if hasattr(bound, "ge")]
    most = [bound.le for bound in field.metadata if hasattr(bound, "le")]
    return f"{least[0]:,} to {most[0]:,}" if least else ""


def _flag(name: str) -> str:
    flags = [
        _decl(option) for option in OPTIONS.values() if re.search(rf"\[{variable(name)}\b", option.help or "")
    ]
    return f"`{flags[0]}`" if flags else ""


def _decl(option: OptionInfo) -> str:
    """The flag; where typer is told nothing else it takes it for the default."""
    words = (str(word) for word in (option.default, *(option.param_decls or ())))
    return next(word for word in words if word.startswith("--"))


def _row(name: str, field: FieldInfo) -> list[str]:
    means = (field.description or "").replace("|", "\\|")
    return [f"`{variable(name)}`", means, _text(field.default), _bounds(field), _flag(name)]


def test_the_page_has_every_setting_as_the_code_has_it() -> None:
    """The table to put there stands in the failure."""
    wanted = [f"| {' | '.join(_row(name, field))} |" for name, field in FIELDS.items()]
    wanted = [re.sub(r" {2,}", " ", line) for line in wanted]
    lines = (DOCS / "settings.md").read_text().splitlines()
    found = [line for line in lines if line.startswith("| `FLOWER_")]
    assert found == wanted, "\n" + "\n".join(wanted)


def test_every_setting_is_described() -> None:
    assert [name for name, field in FIELDS.items() if len(field.description or "") < 10] == []


@pytest.mark.parametrize("name", OPTIONS)
def test_the_help_of_a_flag_names_its_variable_and_default(name: str) -> None:
    found = re.search(r"\[(FLOWER_\w+)(?:, ([^\]]+))?\]$", OPTIONS[name].help or "")
    assert found, OPTIONS[name].help
    settings = {variable(field): _text(about.default) for field, about in FIELDS.items()}
    default = settings[found[1]]
    assert (found[2] or "not set") == default


def test_no_other_setting_has_a_row() -> None:
    named = [row["setting"].strip("`") for row in rows("settings.md", "setting")]
    assert named == [variable(name) for name in FIELDS]


def test_every_setting_is_read_somewhere() -> None:
    texts = [file.read_text() for file in source_files(".py") if not file.match("runtime/settings*.py")]
    derived = {"lease_seconds": "lease_ms"}
    code = "\n".join(texts)
    unread = [name for name in FIELDS if not re.search(rf"\.{derived.get(name, name)}\b", code)]
    assert unread == []


@pytest.mark.parametrize("name", OPTIONS)
def test_every_flag_is_one_of_a_command(name: str) -> None:
    flag = _decl(OPTIONS[name])
    assert any(flag in flags_of(command) for command in COMMANDS.values())
