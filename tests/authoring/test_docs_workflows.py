"""The reference of workflows in Python tells the truth: its code runs, its JSON comes out, its errors."""

import re
import sys
import textwrap
from collections.abc import Iterator
from datetime import timedelta
from importlib import util
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest

from authoring.in_process import run_document
from flower_cli.yaml_documents import documents_of
from flower_engine import DefinitionError
from flower_engine.authoring.workflow import Workflow
from flower_engine.model.definitions.workflow_document import WorkflowDocument
from flower_engine.model.definitions.workflow_versions import version_of
from flower_engine.programs.registry import registry
from flower_engine.programs.task_options import OPTIONS
from flower_engine.testing import FlowerTest
from unit.pages import DOCS, blocks, quoted, rows, tables

PAGE = "workflows.md"
TEXT = (DOCS / PAGE).read_text()
REFUSED = [row for table in tables(PAGE) for row in table if "written" in row]

BODY = """


@workflow("refused")
def refused(day: date, threshold: int = 50) -> object:
    files = list_files.step(day)
    total = count.step(files[0])
{written}
"""

CHAIN = """
@program("Double")
def double(number: Total) -> int:
    return number.rows


@workflow
def in_a_chain(day: date) -> list[int]:
    totals = count.map(list_files.step(day))
    doubled = double.map(totals)
    return doubled
"""


def _blocks(language: str) -> list[str]:
    return blocks(PAGE, language)


def _load(file: Path, text: str) -> ModuleType:
    file.write_text(text)
    spec = util.spec_from_file_location(file.stem, file)
    assert spec is not None and spec.loader is not None
    module = util.module_from_spec(spec)
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder for modules; what they register and are is forgotten afterwards."""
    programs, modules = {known.name for known in registry}, set(sys.modules)
    yield tmp_path
    for name in {known.name for known in registry} - programs:
        registry.forget(name)
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def test_the_code_runs_and_the_json_comes_of_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = _load(folder / "page_of_workflows.py", "\n\n".join(_blocks("python")))
    document: dict[str, Any] = page.nightly.document()
    tasks = {task["taskName"]: task for task in document["tasks"]}
    blocks = [msgspec.json.decode(block) for block in _blocks("json")]
    assert blocks == [tasks[block["taskName"]] for block in blocks] != []
    _, returned = run_document(document, {"day": "2026-01-05"})
    assert returned == {"rows": 3}
    assert capsys.readouterr().out == "3 rows on 2026-01-05\n"


def test_every_workflow_of_the_page_is_one(folder: Path) -> None:
    page = _load(folder / "page_of_all.py", "\n\n".join(_blocks("python")))
    found: list[Any] = [one for one in vars(page).values() if isinstance(one, Workflow)]
    assert len(found) == len({one.name for one in found}) == "\n".join(_blocks("python")).count("@workflow")
    assert all(one.document()["tasks"] for one in found)


@pytest.mark.parametrize("name", ["counted", "loading", "published", "ordering", "selling"])
def test_it_is_the_same_in_python_and_in_yaml(folder: Path, name: str) -> None:
    page = _load(folder / "page_of_rules.py", "\n\n".join(_blocks("python")))
    (block,) = [block for block in _blocks("yaml") if block.startswith(f"taskId: {name}\n")]
    (said,) = documents_of(block.encode())
    written = {field: getattr(page, name).document()[field] for field in said}
    first, second = (msgspec.convert(one, WorkflowDocument).to_model() for one in (written, said))
    assert version_of(first) == version_of(second)


@pytest.mark.parametrize(("workflow", "seq"), [("two_days", 1), ("in_a_chain", 3)])
def test_a_task_is_the_same_in_python_and_in_yaml(folder: Path, workflow: str, seq: int) -> None:
    page = _load(folder / "page_of_tasks.py", "\n\n".join([*_blocks("python"), CHAIN]))
    begin = "  - taskSeq: 3" if seq == 3 else f"taskId: {workflow}\n"
    (block,) = [block for block in _blocks("yaml") if block.startswith(begin)]
    text = block if seq != 3 else "taskId: chained\ntasks:\n" + block
    (said,) = documents_of(text.encode())
    (task,) = [one for one in getattr(page, workflow).document()["tasks"] if one["taskSeq"] == seq]
    assert task == {**said["tasks"][0], "dependsOn": task["dependsOn"]}


def test_a_default_that_json_leaves_out_goes_along_as_the_page_says(folder: Path) -> None:
    page = _load(folder / "page_of_defaults.py", "\n\n".join([*_blocks("python"), _body("return total.bad")]))
    (said,) = re.findall(r'`(\{"\$from": "total", "path": "/bad".*?\})`', TEXT)
    assert page.refused.document()["returns"] == msgspec.json.decode(said)


def test_every_option_has_its_row() -> None:
    assert {quoted(row["option"])[0] for row in rows(PAGE, "option")} == set(OPTIONS)


@pytest.mark.parametrize("row", REFUSED, ids=[row["written"] for row in REFUSED])
def test_what_is_refused_says_what_the_page_says(folder: Path, row: dict[str, str]) -> None:
    (written,) = quoted(row["written"])
    code = written.replace("match total: ...", "match total:\n    case _: ...")
    page = _load(folder / "page_of_errors.py", "\n\n".join([*_blocks("python"), _body(code)]))
    with pytest.raises(DefinitionError) as error:
        page.refused.document()
    (problem,) = error.value.problems
    line = 1 + (folder / "page_of_errors.py").read_text().rstrip().count("\n") - code.count("\n")
    assert problem.startswith(f"{folder / 'page_of_errors.py'}:{line}: ")
    for column in ("refused because it", "instead", "the error says"):
        assert row.get(column, "") in problem


def test_the_loops_of_the_page_come_to_their_end(folder: Path, flower: FlowerTest) -> None:
    page = _load(folder / "page_of_loops.py", "\n\n".join(_blocks("python")))
    run = flower.run(page.polled, job="copy")
    assert (run.result, run.skipped) == (10, timedelta(seconds=90))
    assert run.tasks["done"].result == "copy is done"


def _body(written: str) -> str:
    return BODY.format(written=textwrap.indent(written, "    "))
