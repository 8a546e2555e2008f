"""Workflows are found by the names of their modules, with errors that say what is there."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from authoring.sample import clean
from flower_engine import DefinitionError, workflow
from flower_engine.authoring.discovery import load_target, workflows_of
from flower_engine.errors import ProgramError

MODULE = """
from flower_engine import workflow
from authoring.sample import clean

VALUE = 3


@workflow("nightly run")
def nightly() -> None:
    clean.step()


again = nightly


@workflow
def second() -> None:
    clean.step()
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_a_module_has_its_workflows_in_order_each_once(folder: Path) -> None:
    (folder / "found_flows.py").write_text(MODULE)
    assert [one.name for one in workflows_of("found_flows")] == ["nightly run", "second"]
    assert workflows_of(ModuleType("empty")) == []


def test_a_workflow_that_a_module_has_with_options_only_is_refused(folder: Path) -> None:
    hidden = MODULE + '\n\nsecond = second.having(rule="any")\n'
    (folder / "hidden_flows.py").write_text(hidden)
    with pytest.raises(DefinitionError, match=r"has it as 'second' with options of \.having"):
        workflows_of("hidden_flows")
    (folder / "shown_flows.py").write_text(MODULE + "\n\nlater = second.having(priority=3)\n")
    assert len(workflows_of("shown_flows")) == 2
    with pytest.raises(DefinitionError, match=r"shown_flows:later is second\.having.*give second itself"):
        load_target("shown_flows:later")


def test_a_target_is_a_variable_or_a_name(folder: Path) -> None:
    (folder / "found_flows.py").write_text(MODULE)
    assert load_target("found_flows:nightly") is load_target("found_flows:nightly run")
    assert load_target("found_flows:second").name == "second"


def test_the_only_workflow_of_a_module_needs_no_name(folder: Path) -> None:
    (folder / "one_flow.py").write_text(MODULE.replace("@workflow\ndef second", "def second"))
    assert load_target("one_flow").name == "nightly run"


@pytest.mark.parametrize(
    ("target", "says"),
    [
        (
            "found_flows:nigthly",
            "no workflow 'nigthly'; nearest: nightly.*has the workflows 'nightly run', 'second'",
        ),
        ("found_flows", "has the workflows 'nightly run', 'second'; write found_flows:WORKFLOW"),
        ("found_flows:clean", "is a program, no workflow"),
        ("found_flows:VALUE", "is no workflow"),
        ("no_such_flows:x", "'no_such_flows' does not import: ModuleNotFoundError"),
        ("found_flows.py:x", "give its dotted name"),
        (":x", "write module:workflow"),
        ("broken_flows:x", r"LookupError: oh \(in .*broken_flows.py, line 1\)"),
    ],
)
def test_what_is_not_found_is_said(folder: Path, target: str, says: str) -> None:
    (folder / "found_flows.py").write_text(MODULE)
    (folder / "broken_flows.py").write_text("raise LookupError('oh')")
    with pytest.raises(ProgramError, match=says):
        load_target(target)


def test_two_workflows_of_one_name_are_refused() -> None:
    def first() -> None:
        clean.step()

    module = ModuleType("two")
    vars(module).update(one=workflow("same")(first), other=workflow("same")(first))
    with pytest.raises(DefinitionError, match=r"two workflows are named so: .*test_discovery.py:\d+ and"):
        workflows_of(module)
