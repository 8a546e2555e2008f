"""What documents and comments name is there: files, tables, settings, events."""

import ast
import inspect
import io
import os
import re
import tokenize
from functools import cache
from pathlib import Path
from typing import get_args

import pytest

from flower_engine.hooks.hook import OCCASIONS
from flower_engine.model.events.events import AnyEvent
from flower_engine.runtime.settings_loading import unknown_variables
from flower_engine.transitions import operator_transitions
from flower_engine.transitions.operator_transitions import Operated
from unit.pages import DOCS, ROOT, SOURCES, rows, source_files

STAND_INS = {
    *(
        "my_programs.py",
        "my_flows.py",
        "/srv/nightly/my_programs.py",
        "orders/orders.py",
        "test_that_night.py",
    ),
    *("lua/FOLDER/NAME.lua", "lua/lib/NAME.lua"),
}
"""Files of the people whom examples speak of, and patterns of names."""

PAGES = [*sorted(DOCS.rglob("*.md")), ROOT / "README.md"]
MIGRATIONS = "".join(file.read_text() for file in source_files(".sql"))


@cache
def _comments(file: Path) -> str:
    """What a source file says to people: its comments and docstrings."""
    text = file.read_text()
    if file.suffix != ".py":
        return "\n".join(re.findall(r"--.*", text))
    comments = [
        token.string
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type == tokenize.COMMENT
    ]
    strings = [
        node.value.value
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    ]
    return "\n".join([*comments, *strings])


@cache
def _files() -> list[str]:
    folders = [*SOURCES, "docs", "tests"]
    found = [file for folder in folders for file in (ROOT / folder).rglob("*") if file.is_file()]
    return [f"/{file.relative_to(ROOT)}" for file in found]


def _missing_files(text: str) -> list[str]:
    named = set(re.findall(r"[\w/.-]*\w\.(?:py|lua|sql)\b", text)) - STAND_INS
    named -= set(re.findall(r"^```python\n# (\S+\.py)$", text, re.MULTILINE))  # the page itself has it
    return sorted(name for name in named if not any(file.endswith(f"/{name}") for file in _files()))


def _pages_of_all() -> set[str]:
    """Names of documents anywhere in the project, but not of what is installed beside it."""
    found: set[str] = set()
    for _, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found.update(name for name in files if name.endswith(".md"))
    return found


def _name(file: Path) -> str:
    return str(file.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    assert _missing_files(page.read_text()) == []


def test_every_file_that_a_comment_names_is_there() -> None:
    missing = {_name(file): _missing_files(_comments(file)) for file in source_files(".py", ".lua", ".sql")}
    assert {file: names for file, names in missing.items() if names} == {}


def test_no_comment_sends_its_reader_to_a_document_that_is_not_here() -> None:
    pages = _pages_of_all()
    assert "README.md" in pages
    named = {
        _name(file): set(re.findall(r"\b[\w-]+\.md\b|\bDESIGN\b", _comments(file))) - pages
        for file in source_files(".py", ".lua", ".sql")
    }
    assert {file: names for file, names in named.items() if names} == {}


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_table_that_a_page_names_is_there(page: Path) -> None:
    named = set(re.findall(r"\b(?:kr|ms)_[a-z_]*[a-z]\b", page.read_text()))
    assert sorted(name for name in named if name not in MIGRATIONS) == []


def test_the_readme_has_every_table() -> None:
    made = set(re.findall(r"CREATE (?:UNLOGGED )?TABLE(?: IF NOT EXISTS)? (\w+)", MIGRATIONS))
    assert made, "no migration makes a table"
    readme = (ROOT / "README.md").read_text()
    assert sorted(name for name in made if f"`{name}`" not in readme) == []


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_setting_that_a_page_names_is_one(page: Path) -> None:
    named = re.findall(r"\bFLOWER_[A-Z_]*[A-Z]\b", page.read_text())
    assert unknown_variables(dict.fromkeys(named, "")) == []


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_event_or_occasion_that_a_page_names_is_one(page: Path) -> None:
    events = {*OCCASIONS, *(event.__struct_config__.tag for event in get_args(AnyEvent))}
    named = set(re.findall(r"`((?:flow|task|outcome|control|log)\.(?!lua)[a-z_]+)`", page.read_text()))
    assert sorted(named - events) == []


def test_every_operation_has_its_row_in_the_lifecycle() -> None:
    """A fork is the only one that is no transition: it registers."""
    made = inspect.getmembers(operator_transitions, inspect.iscoroutinefunction)
    operations = {name for name, do in made if do.__annotations__["return"] is Operated and name[0] != "_"}
    assert {row["operation"] for row in rows("lifecycle.md", "operation")} == operations | {"fork"}
