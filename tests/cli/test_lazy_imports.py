"""A command imports what it needs and no more: services start beside each other, scripts run it in loops."""

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

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


OF_COMMANDS = ("typer", "rich", "flower_cli.commands", "flower_cli.console", "flower_bench")
OF_TESTS = ("hypothesis", "schemathesis", "pytest")
OF_AUTHORS = ("flower_engine.authoring", "flower_engine.programs.task_options")
OF_THE_API = ("fastapi", "starlette", "uvicorn")
OF_RECOVERY = ("flower_engine.runtime.loss_recovery", "flower_engine.runtime.redis_recovery")
STARTED = {
    "api": (*OF_COMMANDS, *OF_TESTS, *OF_AUTHORS, *OF_RECOVERY, "httpx", "flower_worker"),
    "worker": (*OF_COMMANDS, *OF_TESTS, *OF_AUTHORS, *OF_THE_API, *OF_RECOVERY, "flower_api"),
    "projector": (*OF_COMMANDS, *OF_TESTS, *OF_AUTHORS, *OF_THE_API, "httpx", "flower_worker"),
    "watcher": (*OF_COMMANDS, *OF_TESTS, *OF_AUTHORS, *OF_THE_API, *OF_RECOVERY, "httpx", "flower_worker"),
}
"""Service -> what is not imported when it is started without flags, as a supervisor starts it."""

STORES = ("redis", "psycopg", "fastapi")
CALLED = {
    "--version": (*STORES, "rich", "httpx", "pydantic", "asyncio", "flower_cli.local.services"),
    "--help": (*STORES, "pydantic", "flower_cli.local.run_service"),
    "projector --help": (*STORES, "httpx", "flower_cli.commands"),
    "show --help": (*STORES, "flower_cli.local.up", "flower_cli.local.supervisor", "flower_bench"),
    "show last": (*STORES, "flower_cli.local.up", "flower_bench"),
}
"""Words of a command line -> what is not imported for it."""

_START = """
from flower_cli.local import run_service
run_service.run_service = run_service.imported  # what is run then needs stores
"""
_CALL = """
import sys
sys.argv = ["flower", *{words!r}]
from flower_cli.main import main
try: main()
except SystemExit: pass
print(*sys.modules, sep="\\n", file=sys.stderr)
"""


def imported_by(code: str, folder: Path) -> list[str]:
    environment = {name: text for name, text in os.environ.items() if not name.startswith("FLOWER_")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stderr.split()


def found_in(imported: list[str], names: Iterable[str]) -> list[str]:
    return [name for name in names if name in imported]


@pytest.mark.parametrize("words", CALLED)
def test_what_a_command_does_not_need_is_not_imported(words: str, tmp_path: Path) -> None:
    imported = imported_by(_CALL.format(words=words.split()), tmp_path)
    assert "flower_cli.main" in imported
    assert found_in(imported, CALLED[words]) == []


@pytest.mark.parametrize("service", STARTED)
def test_what_a_service_does_not_need_is_not_imported(service: str, tmp_path: Path) -> None:
    imported = imported_by(_START + _CALL.format(words=[service]), tmp_path)
    assert f"flower_{service}.service" in imported
    assert found_in(imported, STARTED[service]) == []


def test_what_a_child_process_of_a_worker_does_not_need_is_not_imported(tmp_path: Path) -> None:
    code = "import sys, flower_worker.child\nprint(*sys.modules, sep='\\n', file=sys.stderr)"
    imported = imported_by(code, tmp_path)
    assert "flower_worker.child" in imported
    needless = ("redis", "psycopg", "pydantic", "asyncio", "httpx", "flower_engine.transitions", *OF_AUTHORS)
    assert found_in(imported, needless) == []
