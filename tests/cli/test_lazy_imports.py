"""A command imports what it needs and no more: services start beside each other, scripts run it in loops."""

import subprocess
import sys

import pytest
import typer

from flower_cli.main import COMMANDS, make_app


def names(app: typer.Typer) -> list[str | None]:
    commands = [one.name or getattr(one.callback, "__name__", None) for one in app.registered_commands]
    return commands + [group.name for group in app.registered_groups]


@pytest.mark.parametrize("module", COMMANDS)
def test_each_module_of_commands_has_those_that_the_table_names(module: str) -> None:
    for command in COMMANDS[module]:
        assert names(make_app([command, "--help"])) == list(COMMANDS[module])


def test_a_line_that_names_no_command_has_all() -> None:
    every = sorted(name for commands in COMMANDS.values() for name in commands)
    for words in ([], ["--help"], ["shwo"]):
        assert sorted(str(name) for name in names(make_app(words))) == every


@pytest.mark.parametrize(
    ("words", "left"),
    [
        ("projector --help", ["httpx", "fastapi", "flower_cli.commands"]),
        ("show --help", ["flower_cli.local.up", "flower_cli.local.supervisor", "flower_bench"]),
    ],
)
def test_what_a_command_does_not_need_is_not_imported(words: str, left: list[str]) -> None:
    code = f"import sys; sys.argv[1:] = {words.split()!r}; from flower_cli.main import main\n"
    code += "try: main()\nexcept SystemExit: print('\\n'.join(sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    imported = done.stderr.split()
    assert "flower_cli.main" in imported
    assert [name for name in left if name in imported] == []
