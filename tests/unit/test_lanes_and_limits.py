"""Names of lanes and limits are made and taken apart in one place each, and what is made is read back."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flower_engine.model.definitions.definition import PlannedTask
from flower_engine.model.flow_control.flow_control import SCOPES, Scope
from flower_engine.model.flow_control.lanes import (
    Lane,
    lane_of,
    parse_lane,
    plain_lane,
    share_of_lane,
    suspect_lane,
)
from flower_engine.model.flow_control.limits import (
    LimitValue,
    limit_of,
    limit_of_flows,
    limit_per_key,
    limits_of_lane,
    limits_tasks,
    parse_limit,
    setting_of,
    window_of_limit,
)
from flower_engine.model.flow_control.map_windows import Window
from flower_engine.model.waits.wait_programs import is_wait

ROOT = Path(__file__).parents[2]
names = st.text(min_size=1, max_size=20) | st.text("%:25 3A,/!*|@", min_size=1, max_size=8)
keys = st.just("") | names
lanes = st.builds(
    Lane,
    queue=names,
    priority=st.integers(-20, 19),
    workflow=names,
    fair_key=keys,
    is_suspect=st.booleans(),
    program=names,
    units=st.integers(1, 1_000_000),
    workflow_key=keys,
    program_key=keys,
    kept_from=st.lists(st.text("0123456789abcdef", min_size=16, max_size=16), max_size=3).map(tuple),
    is_wait=st.just(False),
    window=st.builds(
        Window, st.none() | st.integers(1, 10_000), st.booleans(), st.just("018f-7"), st.integers(1, 99)
    ).map(lambda window: window.text),
)


@given(lanes)
def test_the_name_of_a_lane_says_all_that_it_was_made_of(lane: Lane) -> None:
    assert parse_lane(lane.name) == lane


@given(lanes)
def test_the_lane_of_a_task_is_named_after_it(lane: Lane) -> None:
    lane = lane._replace(is_wait=is_wait(lane.program))
    task = PlannedTask(
        seq=1,
        task_seq=1,
        program=lane.program,
        queue=lane.queue,
        priority=lane.priority,
        units=lane.units,
        fair_key=lane.fair_key,
        workflow_key=lane.workflow_key,
        program_key=lane.program_key,
        window=lane.window,
    )
    name = lane_of(lane.workflow, task)
    assert name == lane._replace(is_suspect=False, kept_from=()).name
    assert suspect_lane(name) == lane._replace(is_suspect=True, kept_from=()).name
    assert plain_lane(lane.name) == name
    assert share_of_lane(name) == share_of_lane(suspect_lane(name))


@pytest.mark.parametrize("name", ["", "q", "q:0:w", "q:high:w:p", "q:0:w:p:x"])
def test_what_is_no_lanes_name_is_taken_for_none(name: str) -> None:
    assert parse_lane(name) is None
    assert limits_of_lane(name) == ([], 1)


@given(lanes)
def test_every_limit_of_a_lane_says_what_it_is_about(lane: Lane) -> None:
    found, units = limits_of_lane(lane.name)
    expected = [
        ("global", "", ""),
        ("queue", lane.queue, ""),
        ("workflow", lane.workflow, ""),
        ("program", lane.program, ""),
        *([("workflow", lane.workflow, lane.workflow_key)] if lane.workflow_key else []),
        *([("program", lane.program, lane.program_key)] if lane.program_key else []),
    ]
    window = Window.parse(lane.window)
    expected += [("map", f"{window.map} of flow 018f-7", "")] if window else []
    assert [tuple(parse_limit(name)) for name in found] == expected
    assert all(limits_tasks(name) or window_of_limit(name) == window for name in found)
    assert units == lane.units


@given(st.sampled_from(SCOPES[1:]), names)
def test_a_limit_is_read_back(scope: Scope, name: str) -> None:
    assert parse_limit(limit_of(scope, name)) == (scope, name, "")
    assert setting_of(limit_of(scope, name)) == limit_of(scope, name)


@given(names, names)
def test_a_limit_of_a_key_is_read_from_the_one_for_all_keys(name: str, key: str) -> None:
    assert setting_of(limit_per_key("workflow", name, key)) == limit_per_key("workflow", name)
    assert not limits_tasks(limit_per_key("workflow", name))
    assert not limits_tasks(limit_of_flows(name))


numbers = st.none() | st.integers(0, 1_000_000)


@given(st.builds(LimitValue, most=numbers, rate=numbers, period_ms=numbers, is_paused=st.booleans()))
def test_the_value_of_a_limit_is_read_back(value: LimitValue) -> None:
    assert LimitValue.parse(value.text()) == value


MAKERS = {
    r"""f"[gqwpfvx]k?:\{""": "a name of a limit is made by model/flow_control/limits.py",
    r"""\["'\]\[gqwp""": "a name of a limit is taken apart by model/flow_control/limits.py",
    r"""partition\("/"\)""": "a limit is taken apart by limits.py, a lane by lanes.py, of model/flow_control",
    r"""lane\w*\.r?(?:split|partition)\(|share\w*\.r?(?:split)\(""": "a lane is taken apart by lanes.py",
    r"""r".*\[\^:""": "a pattern of a lane or limit stands in model/flow_control/lanes.py",
    r"""\|@""": "a board is named by model/flow_control/boards.py",
    r"""keys\.prefix\b""": "keys are named by log/keys.py",
    r"""%3A|:02X""": "names are escaped by model/values/key_parts.py",
}
"""What a second maker or parser looks like, and where the first one is."""
THE_PLACES = (
    "model/flow_control/lanes.py",
    "model/flow_control/limits.py",
    "model/flow_control/boards.py",
    "model/values/key_parts.py",
    "log/keys.py",
)
OTHERS = {
    ("flower_engine/model/invariants/invariants.py", r"""f"[gqwpfvx]k?:\{"""): "a timer of a waiting task",
    ("flower_bench/roles.py", r"""partition\("/"\)"""): "the path of a program",
    ("flower_engine/testing/engine.py", r"""keys\.prefix\b"""): "all keys of a test's own partition",
    ("flower_engine/testing/skipping_client.py", r"""keys\.prefix\b"""): "a clock that no engine has",
}
"""Files that look like it and are about something else, each with the reason."""


def _second_makers() -> dict[tuple[str, str], list[str]]:
    found: dict[tuple[str, str], list[str]] = {}
    for folder in ("shared", "services"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            if str(file).endswith(THE_PLACES):
                continue
            for number, line in enumerate(file.read_text().splitlines(), start=1):
                for pattern in MAKERS:
                    if re.search(pattern, line):
                        place = str(file.relative_to(ROOT / folder))
                        found.setdefault((place, pattern), []).append(f"{number}: {line.strip()}")
    return found


def test_nothing_else_makes_or_takes_apart_such_a_name() -> None:
    found = {place: lines for place, lines in _second_makers().items() if place not in OTHERS}
    assert {f"{place}: {MAKERS[pattern]}": lines for (place, pattern), lines in found.items()} == {}


def test_every_exception_is_needed() -> None:
    assert OTHERS.keys() <= _second_makers().keys()
