"""The examples of workflows: each becomes a document, and its programs do what it says."""

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from authoring.in_process import run_document
from flower_engine import Workflow
from flower_engine.authoring.discovery import workflows_of
from flower_engine.programs.registry import registry

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Workflow[..., Any]]]:
    """Imports an example; its only workflow. Afterwards nothing of it is known."""
    monkeypatch.setattr(sys, "path", [str(EXAMPLES), *sys.path])
    programs, modules = {known.name for known in registry}, set(sys.modules)

    def load(name: str) -> Workflow[..., Any]:
        (only,) = workflows_of(importlib.import_module(name))
        return only

    yield load
    for name in {known.name for known in registry} - programs:
        registry.forget(name)
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def test_a_report_of_a_day_is_written(example: Callable[[str], Workflow[..., Any]], tmp_path: Path) -> None:
    (tmp_path / "2026-01-05.csv").write_text(
        "customer,product,amount\nAda,pen,70.50\nBob,ink,12.00\nAda,ink,40.00\n"
    )
    daily_report = example("daily_report")
    given = {"day": "2026-01-05", "folder": str(tmp_path), "threshold": "100"}
    assert daily_report.document()["parametersSchema"]["required"] == ["day", "folder"]
    _, returned = run_document(daily_report.document(), given)
    file = tmp_path / "report-2026-01-05.md"
    assert returned == {"file": str(file), "amount": "122.50"}
    lines = file.read_text().splitlines()
    assert lines[0] == "# 3 orders of 2026-01-05, 122.50 in all"
    assert lines[4:] == ["| Ada | 2 | 110.50 |"]


@pytest.mark.parametrize("most_wrong", [1, 0])
def test_sales_of_all_regions_are_loaded_and_exported(
    example: Callable[[str], Workflow[..., Any]], tmp_path: Path, most_wrong: int
) -> None:
    (tmp_path / "north-2026-01-05.csv").write_text("article,pieces,cents\npen,2,300\nink,1,500\n")
    (tmp_path / "south-2026-01-05-b.csv").write_text("article,pieces,cents\npen,many,1\npen,1,150\n")
    document = example("sales_etl").document()
    assert [task["taskName"] for task in document["tasks"]] == [
        *("tables", "find_north", "load_north", "find_south", "load_south", "find_west", "load_west"),
        *("rows", "totals"),
    ]
    assert document["tasks"][-1]["dependsOn"] == ["rows"]
    given = {"day": "2026-01-05", "folder": str(tmp_path), "database": str(tmp_path / "sales.db")}
    if most_wrong == 0:
        with pytest.raises(ValueError, match=r"1 lines are no sales \(south\)"):
            run_document(document, given)
        return
    for _ in range(2):  # again: the same rows, not twice as many
        results, returned = run_document(document, {**given, "most_wrong": most_wrong})
        assert results["load_west"] == {"region": "west", "rows": 0}
        assert returned == {"rows": 3, "file": str(tmp_path / "totals-2026-01-05.csv"), "articles": 2}
        assert (tmp_path / "totals-2026-01-05.csv").read_text().splitlines() == [
            *("article,pieces,cents", "ink,1,500", "pen,3,450"),
        ]
