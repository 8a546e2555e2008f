"""The documents name everything that is there, and point only to what exists."""

import re
from pathlib import Path
from typing import Any, get_args

import pytest

from flower_engine.log.keys import Keys
from flower_engine.model.events.events import AnyEvent
from flower_engine.model.tasks.status import Status
from flower_engine.transitions.loader import Script

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
LUA = sorted((ROOT / "shared" / "flower_engine" / "transitions" / "lua").glob("*/*.lua"))
TRANSITIONS = [file for file in LUA if file.parent.name != "lib"]
PAGES = [*sorted(DOCS.rglob("*.md")), *sorted(ROOT.glob("*.md"))]
KINDS_OF_KEYS = sorted(
    {name for name in vars(Keys(0)) if not name.startswith("_")} - {"partition", "prefix"}
    | {name for name in vars(Keys) if not name.startswith("_")}
)


@pytest.mark.parametrize("kind", KINDS_OF_KEYS)
def test_every_kind_of_key_has_its_row(kind: str) -> None:
    rows = [line for line in (DOCS / "keys.md").read_text().splitlines() if line.startswith("|")]
    assert any(re.match(rf"\| `{kind}(:[^`]*)?` \|", row) for row in rows)


@pytest.mark.parametrize("file", LUA, ids=lambda file: file.name)
def test_every_lua_file_is_named_where_the_lifecycle_is_told(file: Path) -> None:
    assert f"`{file.parent.name}/{file.name}`" in (DOCS / "lifecycle.md").read_text()


@pytest.mark.parametrize("event", get_args(AnyEvent), ids=lambda event: event.__name__)
def test_every_event_is_named_where_the_lifecycle_is_told(event: Any) -> None:
    assert event.__struct_config__.tag in (DOCS / "lifecycle.md").read_text()


@pytest.mark.parametrize("status", Status)
def test_every_status_is_in_the_glossary(status: Status) -> None:
    assert f"{int(status)} {status.word}" in (DOCS / "glossary.md").read_text()


@pytest.mark.parametrize("file", TRANSITIONS, ids=lambda file: file.name)
def test_the_lifecycle_names_the_events_that_a_transition_writes(file: Path) -> None:
    text = Script(f"{file.parent.name}/{file.stem}").text.decode()  # with what it needs
    begin = r"""(?:\{"type":"|append_operation\(flow, ')"""
    written = set(re.findall(begin + r"((?:log|flow|task|outcome)\.[a-z_]+)", text))
    (row,) = re.findall(
        rf"^\| `{file.parent.name}/{file.name}` .*$", (DOCS / "lifecycle.md").read_text(), re.MULTILINE
    )
    assert set(re.findall(r"`((?:log|flow|task|outcome)\.[a-z_]+)`", row)) == written


@pytest.mark.parametrize("file", TRANSITIONS, ids=lambda file: file.name)
def test_every_transition_says_what_it_guarantees_takes_answers_and_costs(file: Path) -> None:
    shebang, name, *_ = file.read_text().splitlines()
    assert shebang.startswith("#!lua")
    assert name.startswith(f"-- {file.stem}: ")
    for part in ("-- Guarantees: ", "-- ARGV: ", "-- Reply: ", "Cost: "):
        assert part in file.read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_inside_the_project_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text())
    targets = [link for link in links if not link.startswith(("http:", "https:"))]
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_every_decision_is_in_the_list_of_decisions() -> None:
    listed = re.findall(r"\]\((\d{4}-[^)]+\.md)\)", (DOCS / "decisions" / "README.md").read_text())
    assert listed == sorted(file.name for file in (DOCS / "decisions").glob("[0-9]*.md"))
