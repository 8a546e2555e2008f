"""Why rules pass over tasks, and what they wait for, as people are told."""

from typing import Any

import msgspec
import pytest

from flower_engine.flows.end_words import why_not_needed, why_not_taken
from flower_engine.flows.flow_waits import is_over
from flower_engine.flows.task_ends import explain_ends
from flower_engine.flows.wait_reasons import Seen, explain, ready_tasks
from flower_engine.flows.wait_words import in_words
from flower_engine.model.definitions.definition import PlannedTask
from flower_engine.model.tasks.status import Status
from flower_engine.projection.read.end_views import END_WORDS, NotTaken
from flower_engine.projection.read.state_views import view_of_state
from flower_engine.projection.read.views import FlowView
from projection.stories import Story

F, W, S = Status.FINISH, Status.WAIT, Status.SUSPEND
N = (Status.IGNORE, "n")
P = (Status.IGNORE, "p")
X = (S, "x")


def flow_of(rule: str, ends: list[Any], status: Any = N, **more: Any) -> FlowView:
    """A flow of tasks that stand so, and one that depends on all of them by this rule."""
    story = Story()
    story.open()
    flow = story.register([(), *([()] * (len(ends) - 1)), tuple(range(1, len(ends) + 1))])
    state = story.flows()[flow]
    for task, end in zip(state.tasks, [*ends, status], strict=True):
        task.status, task.ended_as = end if isinstance(end, tuple) else (end, "")
    last = state.tasks[-1]
    values: dict[str, Any] = {"rule": rule, "parameters": {}, **more}
    last.planned = PlannedTask(**{**msgspec.structs.asdict(last.planned), **values})
    view = view_of_state(state, 0)
    explain(view, Seen({("other", last.planned.program), ("default", last.planned.program)}, {}, {}, 0))
    explain_ends(view)
    return view


@pytest.mark.parametrize(
    ("rule", "ends", "because", "tasks", "words"),
    [
        ("ready", [F, X], "givenUp", [2], "task 2 was given up (before it: 1 finished, 1 given up)"),
        ("ready", [N, N], "noneTaken", [1, 2], "of tasks 1, 2 none was taken (before it: 2 not taken)"),
        ("finished", [F, P, N], "notFinished", [2, 3], "tasks 2, 3 did not finish"),
        (
            "any",
            [N, X],
            "tooFew",
            [1, 2],
            "1 of those before it must finish, which cannot be any more:",
        ),
        (
            "at_least:2",
            [F, N],
            "tooFew",
            [2],
            "2 of those before it must finish, which cannot be any more:",
        ),
        ("failed", [F, P], "noFailure", [1, 2], "none of tasks 1, 2 failed"),
        ("of a newer Flower", [F], "noneTaken", [1], "task 1 was not taken"),
    ],
)
def test_it_is_said_why_a_rule_passed_over_a_task(
    rule: str, ends: list[Any], because: str, tasks: list[int], words: str
) -> None:
    why = flow_of(rule, ends).tasks[-1].not_taken
    assert why is not None
    assert (why.because, why.depends_on, why.count, why.rule) == (because, tasks, len(tasks), rule)
    assert words in why_not_taken(why)


def test_it_is_said_whose_value_is_missing() -> None:
    takes = {"a": {"$from": 10}, "b": [{"$from": 20}], "c": {"$from": 30, "optional": True}}
    why = flow_of("ready", [F, P, P], parameters=takes, refs=True).tasks[-1].not_taken
    assert why is not None
    assert (why.because, why.depends_on) == ("missingValue", [2])
    assert "task 2 has no value, which it cannot do without" in why_not_taken(why)


def test_an_item_says_that_the_one_that_it_goes_along_has_no_value() -> None:
    view = flow_of("ready", [P], parameters={"n": {"$from": "totals"}}, refs=True)
    view.tasks[-1].item_of = 1  # of a map, which goes along that of the item before it
    explain_ends(view)
    why = view.tasks[-1].not_taken
    assert why is not None
    assert (why.because, why.depends_on) == ("missingValue", [1])
    assert "task 1 has no value, which it cannot do without (before it: 1 passed over)" in why_not_taken(why)


def test_a_map_that_is_named_by_its_number_is_none_of_its_items() -> None:
    view = flow_of("ready", [P], parameters={"n": {"$from": 10}}, refs=True)
    view.tasks.append(msgspec.structs.replace(view.tasks[0], task_exec_seq=3, item_of=1))
    explain_ends(view)
    why = view.tasks[1].not_taken
    assert why is not None
    assert (why.because, why.depends_on) == ("missingValue", [1])


def test_of_many_ten_are_named() -> None:
    why = flow_of("ready", [N] * 40).tasks[-1].not_taken
    assert why is not None
    assert (why.depends_on, why.count, why.ends) == (list(range(1, 11)), 40, {"notTaken": 40})
    assert "9, 10, ... none was taken" in why_not_taken(why)


@pytest.mark.parametrize(
    ("rule", "ends", "reason", "words"),
    [
        ("ready", [F, S], "dependencies", "waits for 2"),
        ("settled", [X, S, W], "dependencies", "waits for 2, 3"),
        ("any", [N, W], "rule", "waits for 1 of 2 to finish (rule any, 0 did)"),
        ("at_least:2", [F, S, W], "rule", "waits for 1 of 2, 3 to finish (rule at_least:2, 1 did)"),
        ("failed", [F, W], "rule", "waits for one of 2 to fail (rule failed)"),
    ],
)
def test_it_is_said_what_a_rule_waits_for(rule: str, ends: list[Any], reason: str, words: str) -> None:
    told = flow_of(rule, ends, W).tasks[-1].wait_reason
    assert told is not None
    assert in_words(told) == words
    assert msgspec.to_builtins(told)["reason"] == reason


@pytest.mark.parametrize(
    ("rule", "ends"),
    [("any", [F, W]), ("at_least:2", [F, P, S]), ("failed", [S, W]), ("failed", [X, W]), ("settled", [N, X])],
)
def test_a_task_whose_rule_waits_no_more_is_ready(rule: str, ends: list[Any]) -> None:
    view = flow_of(rule, ends, W)
    assert len(view.tasks) in ready_tasks(view)


def test_who_waits_for_a_rule_waits_for_others() -> None:
    assert is_over(flow_of("any", [N, S], W))
    assert not is_over(flow_of("any", [N, W], W))


def test_a_flow_with_a_task_that_is_given_up_later_goes_on_by_itself() -> None:
    view = flow_of("ready", [S], W)
    assert is_over(view)
    view.tasks[0].on_failure, view.tasks[0].suspended_ts = "hold:60", view.registered_ts
    explain_ends(view)
    assert view.tasks[0].gives_up_ts is not None
    assert (view.tasks[0].gives_up_ts - view.registered_ts).total_seconds() == 60
    assert not is_over(view)


def test_what_a_timeout_of_the_flow_suspended_is_held_until_somebody_decides() -> None:
    story = Story()
    story.open()
    flow = story.register([()])
    story.start(flow, 1)
    story.time_out(flow)
    view = view_of_state(story.flows()[flow], 0)
    view.tasks[0].on_failure = "hold:60"
    explain_ends(view)
    assert view.tasks[0].gives_up_ts is None


def test_every_end_has_its_word() -> None:
    assert set(END_WORDS) == {"p", "n", "w", "c", "u", "v", "x"}
    assert NotTaken.__doc__


def test_a_branch_says_what_its_decision_came_to_and_of_what() -> None:
    story = Story()
    story.open()
    flow = story.register([(), (1,), (2,), (2,)])
    state = story.flows()[flow]
    condition = {"condition": ["gt", {"$from": "total", "path": "/bad"}, 50]}
    for task, whose in zip(state.tasks[2:], ((2, True), (2, False)), strict=True):
        task.planned = msgspec.structs.replace(task.planned, when=whose)
        task.status, task.ended_as = Status.IGNORE, "w"
    decision = state.tasks[1]
    decision.planned = msgspec.structs.replace(
        decision.planned, program="@when", task_name="big", parameters=condition
    )
    decision.status, decision.result = Status.FINISH, b'{"is":false,"values":{"total.bad":3}}'
    view = view_of_state(state, 0)
    explain_ends(view)
    assert view.tasks[2].not_taken is not None
    assert why_not_taken(view.tasks[2].not_taken) == (
        "not taken: big is false: total.bad > 50, with total.bad = 3"
    )
    decision.status, decision.ended_as, decision.result = Status.IGNORE, "p", None
    view = view_of_state(state, 0)
    explain_ends(view)
    assert view.tasks[3].not_taken is not None
    assert why_not_taken(view.tasks[3].not_taken) == "not taken: its decision big came to nothing"


def ended_flow(*tasks: tuple[tuple[int, ...], str, Any]) -> FlowView:
    """A flow of tasks that depend on these, have this rule, and stand so."""
    story = Story()
    story.open()
    flow = story.register([depends_on for depends_on, _, _ in tasks])
    state = story.flows()[flow]
    for task, (_, rule, end) in zip(state.tasks, tasks, strict=True):
        task.status, task.ended_as = end if isinstance(end, tuple) else (end, "")
        task.planned = msgspec.structs.replace(task.planned, rule=rule)
    view = view_of_state(state, 0)
    explain_ends(view)
    return view


U = (Status.IGNORE, "u")
R = Status.RUNNING


def test_of_what_is_not_needed_the_joins_are_named_that_went_on_without_it() -> None:
    view = ended_flow(
        ((), "ready", F),
        ((), "ready", U),
        ((2,), "ready", U),
        ((1, 3), "any:cancel", R),
        ((1, 2, 3), "at_least:1:cancel", W),
        ((1, 2), "any", F),
        ((1, 2), "any:cancel", (Status.IGNORE, "c")),
        ((), "ready", U),
        ((8,), "ready", U),
        ((1, 9), "any:cancel", S),
        ((1, 9), "at_least:2:cancel", W),
    )
    assert [task.not_needed_by for task in view.tasks] == [
        *(None, [5], [4, 5], None, None, None, None),
        *([10], [10], None, None),
    ]


def test_items_that_are_not_needed_name_the_joins_of_their_map_and_of_many_joins_ten_are_named() -> None:
    view = ended_flow(((), "ready", F), ((), "ready", U), ((), "ready", U), *[((1, 2), "any:cancel", F)] * 12)
    view.tasks[2].item_of = 2
    for task in view.tasks:
        task.not_needed_by = None
    explain_ends(view)
    assert view.tasks[1].not_needed_by == view.tasks[2].not_needed_by == list(range(4, 14))


@pytest.mark.parametrize(
    ("joins", "words"),
    [
        ([4], "not needed: task 4 went on without it"),
        ([4, 5], "not needed: tasks 4, 5 went on without it"),
        ([], "not needed: what it led to went on without it"),
    ],
)
def test_it_is_said_which_joins_went_on_without_a_task(joins: list[int], words: str) -> None:
    assert why_not_needed(joins) == words
