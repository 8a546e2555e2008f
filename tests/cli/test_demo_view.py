"""What the demo shows of a flow, and the server that it posts to."""

import io
from typing import Any

import httpx
import pytest
from rich.console import Console

from flower_cli.local.demo import example_tasks
from flower_cli.local.demo_view import watch_tasks
from flower_cli.local.echo_server import echo_server


def flow(status: str, *tasks: dict[str, Any]) -> dict[str, Any]:
    return {"status": status, "tasks": list(tasks)}


def task(seq: int, status: str, wait_reason: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "taskExecSeq": seq,
        "program": "Noop",
        "status": status,
        "waitReason": wait_reason,
        "attempt": 1,
        "startedTs": "2026-11-23T08:05:59.344512Z",
        "finishedTs": None,
        "worker": "w",
    }


STEPS = [
    flow("Running", task(1, "Running"), task(2, "Wait", {"reason": "dependencies", "dependsOn": [1]})),
    flow("Running", task(1, "Running"), task(2, "Wait", {"reason": "dependencies", "dependsOn": [1]})),
    flow("Running", task(1, "Finish"), task(2, "Running")),
    flow("Finish", task(1, "Finish"), task(2, "Finish")),
]


@pytest.mark.parametrize("terminal", [True, False])
def test_a_flow_is_watched_to_its_end(terminal: bool) -> None:
    steps = iter(STEPS)
    pauses: list[None] = []
    console = Console(file=io.StringIO(), force_terminal=terminal, width=120)
    assert watch_tasks(console, lambda: next(steps), lambda: pauses.append(None)) == STEPS[-1]
    assert len(pauses) == 3


def test_away_from_a_terminal_each_change_is_one_line() -> None:
    steps = iter(STEPS)
    stream = io.StringIO()
    watch_tasks(Console(file=stream, force_terminal=False, width=120), lambda: next(steps), lambda: None)
    assert stream.getvalue().splitlines() == [
        "task 1 Noop: Running",
        "task 2 Noop: Wait",
        "task 1 Noop: Finish",
        "task 2 Noop: Running",
        "task 2 Noop: Finish",
    ]


def test_a_flow_that_stands_still_is_watched_no_longer() -> None:
    suspended = flow("Suspend", task(1, "Suspend"))
    console = Console(file=io.StringIO())
    assert watch_tasks(console, lambda: suspended, lambda: pytest.fail("it waits")) == suspended


def test_on_a_terminal_it_is_said_what_a_task_waits_for() -> None:
    steps = iter(STEPS)
    stream = io.StringIO()
    watch_tasks(Console(file=stream, force_terminal=True, width=120), lambda: next(steps), lambda: None)
    assert "task 1" in stream.getvalue()
    assert "08:05:59.344" in stream.getvalue()


def test_the_echo_server_answers_with_what_was_posted() -> None:
    with echo_server() as url:
        reply = httpx.post(url, content='{"id": "test"}', trust_env=False, timeout=60)
    assert reply.status_code == 200
    assert reply.json()["data"] == '{"id": "test"}'


def test_the_example_is_the_seeds() -> None:
    tasks = example_tasks("http://echo")
    assert [one["program"] for one in tasks] == [
        "EchoRandomTimeSleep",
        "EchoParamTimeSleep",
        "HTTPPostRequest",
    ]
    assert [one["parameters"] for one in tasks] == [
        {},
        {"SLEEP_TIME_SECOND": "3"},
        {"URL": "http://echo", "BODY": '{"id": "test"}'},
    ]
    assert {one["taskPriority"] for one in tasks} == {10}
