"""``docs/adding.md``: every file that it sends people to is there, and so is every test that it promises."""

import re
from pathlib import Path

import pytest

from unit.pages import DOCS, ROOT, quoted

PAGE = (DOCS / "adding.md").read_text()
FILES = sorted({word for word in quoted(PAGE) if re.fullmatch(r"[\w./-]+(?:/|\.\w+)", word) and "/" in word})
TESTS = sorted({word for word in quoted(PAGE) if "::" in word})


@pytest.mark.parametrize("name", FILES)
def test_every_file_that_it_names_is_there(name: str) -> None:
    assert (ROOT / name).is_dir() if name.endswith("/") else (ROOT / name).is_file()


@pytest.mark.parametrize("name", TESTS)
def test_every_test_that_it_names_is_there(name: str) -> None:
    file, _, function = name.partition("::")
    assert re.search(rf"^(?:async )?def {function}\(", (ROOT / file).read_text(), re.MULTILINE)


def test_it_names_files_and_tests() -> None:
    assert FILES
    assert TESTS


LOOPS = sorted(
    (file, name)
    for file in (ROOT / "services").rglob("*.py")
    for name in re.findall(r"^class (\w+Loop)\b", file.read_text(), re.MULTILINE)
)


RUN_BY = {"capture": "read_live_state", "grow": "add_partitions", "reopen": "recover"}
"""Transitions that tests run under another name than their own."""


def _tests() -> str:
    files = [file for file in (ROOT / "tests").rglob("*.py") if file.parent.name != "unit"]
    return "\n".join(file.read_text() for file in files)


@pytest.mark.parametrize(("file", "name"), LOOPS, ids=[name for _, name in LOOPS])
def test_every_loop_is_begun_somewhere(file: Path, name: str) -> None:
    service = file.parents[len(file.relative_to(ROOT / "services").parts) - 2]
    others = [other.read_text() for other in service.rglob("*.py") if other != file]
    assert any(re.search(rf"\b{name}\(", text) for text in others), (
        f"nothing in {service.name} makes a {name}"
    )


@pytest.mark.parametrize(("file", "name"), LOOPS, ids=[name for _, name in LOOPS])
def test_every_loop_is_tried_by_a_test(file: Path, name: str) -> None:
    package = file.relative_to(ROOT / "services").parts[0]
    assert re.search(rf"\b{name}\b|\bfrom {package}\.(?:worker|service) import", _tests())


def test_every_transition_is_tried_by_a_test() -> None:
    lua = ROOT / "shared" / "flower_engine" / "transitions" / "lua"
    names = [file.stem for file in lua.rglob("*.lua") if file.parent.name != "lib"]
    tests = _tests()
    assert [name for name in names if not re.search(rf"\b{RUN_BY.get(name, name)}\b", tests)] == []
