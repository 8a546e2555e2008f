"""A flow's DAG as a tree: readable, complete, and fast whatever its shape."""

from typing import Any

import pytest

from flower_cli.commands import tree, words
from flower_cli.commands.tree import tree_lines


@pytest.fixture(autouse=True)
def _in_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (tree, words):
        monkeypatch.setattr(module, "is_unicode", lambda: False)


def task(seq: int, *depends_on: int, status: str = "Finish", **more: Any) -> dict[str, Any]:
    usual = {"program": "A", "attempt": 1, "error": None, "waitReason": None, "progress": None}
    return {**usual, "taskExecSeq": seq, "status": status, "dependsOn": list(depends_on), **more}


def drawn(*tasks: dict[str, Any]) -> list[str]:
    return [line.plain for line in tree_lines(list(tasks))]


def test_a_diamond_draws_each_task_once_and_says_where_else_it_belongs() -> None:
    assert drawn(task(1), task(2, 1), task(3, 1), task(4, 2, 3)) == [
        "+ 1 A Finish",
        "|- + 2 A Finish",
        "|  v + 4 A Finish",
        "`- + 3 A Finish",
        "   v 4 A (drawn below 2)",
    ]


def test_a_branch_stands_below_its_decision() -> None:
    assert drawn(
        task(1),
        task(2, 1, program="@when"),
        task(3, 1, 2, whenIs=[2, True]),
        task(4, 1, 2, whenIs=[2, False]),
    ) == [
        "+ 1 A Finish",
        "|- + 2 @when Finish",
        "|  |- + 3 A Finish",
        "|  `- + 4 A Finish",
        "|- 3 A (drawn below 2)",
        "`- 4 A (drawn below 2)",
    ]


def test_rounds_are_no_attempts_that_failed_and_maps_have_none() -> None:
    assert drawn(task(1, attempt=5, round=4), task(2, attempt=2, program="@map"), task(3, attempt=2)) == [
        "+ 1 A Finish round 4",
        "+ 2 @map Finish",
        "+ 3 A Finish attempt 2",
    ]


def test_chains_go_straight_down() -> None:
    lines = drawn(task(1), *(task(seq, seq - 1) for seq in range(2, 10_001)))
    assert len(lines) == 10_000
    assert lines[-1] == "v + 10000 A Finish"


def test_it_is_said_how_tasks_have_ended() -> None:
    why = {
        "rule": "ready",
        "because": "givenUp",
        "dependsOn": [1],
        "count": 1,
        "ends": {"givenUp": 1},
        "needed": None,
    }
    error = {"type": "ValueError", "message": "no"}
    held: dict[str, Any] = {
        "status": "Suspend",
        "error": error,
        "endedAs": None,
        "givesUpTs": "2026-01-05T10:00:00Z",
    }
    assert drawn(
        task(1, status="Suspend", error=error, endedAs="givenUp"),
        task(2, 1, status="Ignore", endedAs="notTaken", notTaken=why),
        task(3, 2, status="Ignore", endedAs="passedOver", ignoredBy="eve", ignoreReason="not today"),
        task(4, 3, **held),
        task(5, 4, status="Ignore", ignoredBy="bob", ignoreReason="said by an older Flower"),
        task(6, 5, status="Ignore", endedAs="unneeded", notNeededBy=[8, 9]),
        task(7, 6, status="Ignore", endedAs="unneeded"),
    ) == [
        "x 1 A Suspend  ValueError  given up",
        "v - 2 A Ignore  not taken by its rule ready: task 1 was given up (before it: 1 given up)",
        "v - 3 A Ignore  not today (by eve)",
        "v x 4 A Suspend  ValueError  given up at 2026-01-05 10:00:00 UTC unless somebody decides",
        "v - 5 A Ignore  said by an older Flower (by bob)",
        "v - 6 A Ignore  not needed: tasks 8, 9 went on without it",
        "v - 7 A Ignore  not needed: what it led to went on without it",
    ]


def test_two_roots_are_two_trees() -> None:
    assert drawn(task(1), task(2)) == ["+ 1 A Finish", "+ 2 A Finish"]


def test_what_failed_waits_or_was_passed_over_says_why() -> None:
    lines = drawn(
        task(1, status="Suspend", attempt=2, error={"type": "E", "message": "no\nmore"}),
        task(2, 1, status="Wait", waitReason={"reason": "dependencies", "dependsOn": [1]}),
        task(3, status="Ignore", ignoreReason="old", ignoredBy="bob"),
        task(4, status="Running", progress={"fraction": 0.4, "note": "rows"}),
    )
    assert lines == [
        "x 1 A Suspend attempt 2  E",
        "v . 2 A Wait  waits for 1",
        "- 3 A Ignore  old (by bob)",
        "> 4 A Running 40% rows",
    ]


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ({"reason": "retry", "dueTs": "2026-01-02T03:04:05.678Z"}, "retry at 03:04:05.678"),
        ({"reason": "delayed", "untilTs": "2026-01-02T03:04:05Z"}, "delayed until 2026-01-02 03:04:05 UTC"),
        ({"reason": "paused", "by": "eve"}, "the flow is paused by eve"),
        (
            {"reason": "noWorker", "program": "P", "queue": "q", "isQueueServed": True},
            "no live worker serves program P in queue q",
        ),
        (
            {"reason": "cannotStart", "program": "P", "queue": "q", "worker": "w", "detail": "no memory"},
            "no live worker can start program P; w tries again: no memory",
        ),
        (
            {"reason": "limit", "scope": "program", "name": "A", "key": "x", "running": 1, "most": 1},
            "limit of program A (x): 1 of 1 unit is in use",
        ),
        (
            {
                "reason": "limit",
                "scope": "queue",
                "name": "q",
                "key": "",
                "running": 9,
                "most": 9,
                "heldBy": ["f1", "f2"],
            },
            "limit of queue q: 9 of 9 units are in use, by f1, f2",
        ),
        ({"reason": "scopePaused", "scope": "queue", "name": "q"}, "queue q is paused"),
        (
            {"reason": "scopePaused", "scope": "", "name": "", "by": "eve", "because": "a fire"},
            "everything is paused by eve: a fire",
        ),
        (
            {"reason": "noWorker", "program": "P", "queue": "q", "isQueueServed": False},
            "no live worker serves queue q",
        ),
        (
            {
                "reason": "rate",
                "scope": "program",
                "name": "A",
                "rate": 2,
                "periodSeconds": 60.0,
                "untilTs": "2026-01-02T03:04:05.600000Z",
            },
            "rate of program A: 2 have started in 60 s, the next may at 03:04:05.600",
        ),
        (
            {"reason": "behind", "tasks": 7, "atLeast": True},
            "behind at least 7 tasks of higher or equal priority",
        ),
        (
            {"reason": "noPlace", "underWay": 2, "most": 2, "ahead": 5},
            "waits for a place: 2 of 2 flows are under way, 5 wait before it",
        ),
        ({"reason": "ready"}, "ready, waits for a free slot"),
        ({"reason": "unknown", "detail": "Redis is away"}, "Redis is away"),
        ({"reason": "new one"}, "new one"),
        ({"reason": "new one", "detail": "of a newer API"}, "of a newer API"),
        (None, ""),
    ],
)
def test_every_wait_reason_has_words(reason: dict[str, Any] | None, said: str) -> None:
    assert words.why_it_waits(reason) == said


def test_a_wide_mesh_is_drawn_in_time_linear_in_its_edges() -> None:
    width = 100
    first = [task(seq) for seq in range(1, width + 1)]
    second = [task(width + seq, *range(1, width + 1)) for seq in range(1, width + 1)]
    assert len(drawn(*first, *second)) == width + width * width
