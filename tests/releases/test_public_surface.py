"""What is public does not change unsaid."""

import json
from collections.abc import Mapping

import pytest
from release.changelog import unreleased
from release.public_surface import http_lines, released_surface, surface, unsaid

from unit.pages import ROOT

BEFORE = {"python": ["flower_engine.program(name=...)", "flower_engine.secret(name)"]}


def test_what_differs_from_the_last_release_is_in_the_changelog() -> None:
    changes = unreleased((ROOT / "CHANGELOG.md").read_text())
    assert unsaid(released_surface(), surface(), changes) == []


@pytest.mark.parametrize(
    ("now", "changes", "left"),
    [
        (BEFORE["python"], "", []),
        ([*BEFORE["python"], "flower_engine.hold(time)"], "", ["+ flower_engine.hold(time)"]),
        ([*BEFORE["python"], "flower_engine.hold(time)"], "### Added\n\n- hold", []),
        (BEFORE["python"][:1], "### Added\n\n- hold", ["- flower_engine.secret(name)"]),
        (BEFORE["python"][:1], "### Removed\n\n- secret", []),
        (["flower_engine.program(title=...)", *BEFORE["python"][1:]], "### Changed\n\n- program", []),
    ],
)
def test_what_is_new_wants_a_line_and_what_went_wants_to_be_called_so(
    now: list[str], changes: str, left: list[str]
) -> None:
    assert unsaid(BEFORE, {"python": now}, changes) == left


def test_a_first_release_has_nothing_to_compare_with() -> None:
    assert unsaid({}, BEFORE, "") == []


def test_the_surface_has_names_calls_flags_events_and_settings() -> None:
    found = surface()
    assert "flower_engine.Blob.from_file(cls, path)" in found["python"]
    assert "flower_engine.errors.UnknownFlowError(FlowerError)" in "\n".join(found["python"])
    assert "GET /flows ?cursor" in found["http"]
    assert "flower register --wait" in found["commands"]
    assert "task.finished flow" in found["events"]
    assert "FLOWER_CONCURRENCY = 100" in found["settings"]
    assert all(lines == sorted(set(lines)) for lines in found.values())


def test_a_field_that_becomes_optional_and_a_type_that_changes_are_differences() -> None:
    def described(required: list[str], of: Mapping[str, object]) -> dict[str, object]:
        flow = {"required": required, "properties": {"taskFlowId": of}}
        return {"paths": {}, "components": {"schemas": {"Flow": flow}}}

    text = {"type": "string"}
    before = http_lines(described(["taskFlowId"], text))
    assert before == ["Flow.taskFlowId: string"]
    assert http_lines(described([], text)) == ["Flow.taskFlowId?: string"]
    nullable = {"anyOf": [text, {"type": "null"}]}
    assert http_lines(described(["taskFlowId"], nullable)) == ["Flow.taskFlowId: null | string"]
    assert json.dumps(before)
