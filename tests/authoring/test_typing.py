"""Type checkers see a mistake where it is written: basedpyright and mypy, both strict.

They look at the examples, at right uses, and at wrong ones, whose errors are listed line by line.
"""

import os
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
WRONG = Path(__file__).with_name("wrong_uses.py")
PROJECT = Path(__file__).with_name("typing_project.json")
CHECKED = [*sorted((ROOT / "examples").glob("*.py")), Path(__file__).with_name("typed_uses.py"), WRONG]
_FOLLOWS = ("reportUnknown", "reportUntyped", "untyped-")  # that nothing is known of what comes of an error
_EXPECTED = re.compile(r"# error: ([\w ]+) \| ([\w -]+)$")

Errors = dict[tuple[str, int], set[str]]
"""The kinds of errors by file and line."""


def _run(*command: str | Path) -> str:
    environment = {**os.environ, "MYPYPATH": str(ROOT / "shared")}
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode in (0, 1), run.stdout + run.stderr
    return run.stdout


def _of_pyright() -> Iterator[tuple[str, int, str]]:
    said = msgspec.json.decode(_run(BIN / "basedpyright", "--project", PROJECT, "--outputjson"))
    for one in said["generalDiagnostics"]:
        yield one["file"], one["range"]["start"]["line"] + 1, one.get("rule", one["message"])


def _of_mypy() -> Iterator[tuple[str, int, str]]:
    said = _run(BIN / "mypy", "--output=json", "--cache-dir", ROOT / ".venv" / "mypy_cache", *CHECKED)
    for line in said.splitlines():
        one = msgspec.json.decode(line)
        if one["severity"] == "error":
            yield str(ROOT / one["file"]), one["line"], one["code"]


def _by_line(found: Iterator[tuple[str, int, str]]) -> Errors:
    errors: Errors = defaultdict(set)
    for file, line, kind in found:
        if not kind.startswith(_FOLLOWS):
            errors[file, line].add(kind)
    return dict(errors)


def _expected(checker: int) -> Errors:
    return {
        (str(WRONG), number): set(match[checker].split())
        for number, line in enumerate(WRONG.read_text().splitlines(), start=1)
        if (match := _EXPECTED.search(line))
    }


@pytest.mark.parametrize(("checker", "find"), [(1, _of_pyright), (2, _of_mypy)], ids=["basedpyright", "mypy"])
def test_each_listed_error_is_found_and_no_other(checker: int, find: Any) -> None:
    assert len(_expected(checker)) == WRONG.read_text().count("# error")
    assert _by_line(find()) == _expected(checker)
