"""A rerun with another version of its workflow: what runs again is of that version, and nothing else."""

import re
from typing import Any

import msgspec
import pytest

from flower_engine.errors import FlowerError, ParametersError, RefusedError, UnknownVersionError
from flower_engine.flows.flow_control_changes import set_control
from flower_engine.flows.flow_operations import Operator
from flower_engine.flows.forks import Forking, fork
from flower_engine.flows.history import find_flow
from flower_engine.flows.memory_stores import MemoryStores
from flower_engine.flows.parameter_changes import Change
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.flows.registrations import Asked, start
from flower_engine.flows.stores import Stores
from flower_engine.flows.workflow_definitions import define
from flower_engine.model.definitions.definition import PlannedTask, TaskDefinition, WorkflowDefinition
from flower_engine.model.flow_control.flow_control import FlowControl
from flower_engine.model.tasks.task_spec import RetryPolicy
from flower_engine.transitions.operator_transitions import Operated, read_messages


def _task(seq: int, *before: int, name: str | None = None, **more: Any) -> TaskDefinition:
    fields: dict[str, Any] = {"program": f"P{seq}", **more}
    return TaskDefinition(task_seq=seq, task_name=name, depends_on=before, **fields)


def _workflow(*tasks: TaskDefinition, **more: Any) -> WorkflowDefinition:
    return WorkflowDefinition(name="w", tasks=tasks, **more)


FIRST = _workflow(_task(1, name="one"), _task(2, 1, name="two"), _task(3, 2, name="three"))


async def _flow(
    stores: Stores, workflow: WorkflowDefinition = FIRST, asked: Asked | None = None, *, ended: int = 3
) -> str:
    """A flow of which the first tasks are final."""
    await define(stores, workflow)
    flow = (await start(stores, "w", "eve", asked)).flow
    for seq in range(1, min(ended, len(workflow.tasks)) + 1):
        await Operator(stores, flow, "eve").ignore([seq], "done by hand")
    return flow


async def _rerun(
    stores: Stores,
    flow: str,
    selection: Any,
    version: str = "newest",
    *,
    changes: dict[int, Change] | None = None,
    scope: Any = "",
    operation: str = "",
) -> Operated:
    """What it did, which is what a dry run said of it before."""
    operator = Operator(stores, flow, "eve", operation=operation)
    asked = (selection, scope, changes or {}, version)
    if operation:
        return await operator.rerun(*asked)
    before = await operator.state()
    try:
        told = await operator.effect_of_rerun(*asked)
    except FlowerError as error:
        with pytest.raises(type(error), match=f"^{re.escape(str(error))}$"):
            await operator.rerun(*asked)
        raise
    done = await operator.rerun(*asked)
    after = await operator.state()
    over = {one.planned.seq for one in after.tasks if one.ended_as in ("n", "w")}
    ready, was_ready = ({one.planned.seq for one in state.tasks if one.is_ready} for state in (after, before))
    assert {*told.runs, *told.reopens} == {*done.tasks}
    assert set(told.passed_over) == over & {*done.tasks}
    assert set(told.ready) == ready - was_ready
    assert (told.ends, told.version) == (after.ended_ms is not None, before.version)
    return done


async def _planned(stores: Stores, flow: str) -> list[PlannedTask]:
    return [task.planned for task in (await Operator(stores, flow, "").state()).tasks]


async def _newest(stores: Stores) -> str:
    newest = await stores.definitions.newest_version("w")
    assert newest is not None
    return newest.hash


async def test_what_runs_again_is_of_the_newest_version_and_the_rest_stays_what_it_was(
    stores: Stores,
) -> None:
    flow = await _flow(stores)
    before = await _planned(stores, flow)
    policy = RetryPolicy(max_attempts=3)
    other: dict[str, Any] = {"program": "Q", "parameters": {"n": 2}, "retry": policy, "timeout_ms": 5_000}
    await define(
        stores,
        _workflow(
            _task(1, name="one", program="R"),
            _task(2, 1, name="two", program="R"),
            _task(3, 2, name="three", queue="fast", priority=-2, units=3, **other),
        ),
    )
    assert (await _rerun(stores, flow, [3])).tasks == (3,)
    *kept, third = await _planned(stores, flow)
    assert kept == before[:2]
    assert (third.program, third.queue, third.priority, third.units) == ("Q", "fast", -2, 3)
    assert (third.parameters, third.retry, third.timeout_ms) == ({"n": 2}, policy, 5_000)
    found = await find_flow(stores, flow)
    assert [task.workflow_version for task in found.tasks] == [None, None, await _newest(stores)]
    assert found.workflow_version not in (None, await _newest(stores)), "the flow itself is of its own"


async def test_all_that_waits_behind_is_taken_along_where_that_is_asked_for(stores: Stores) -> None:
    flow = await _flow(stores, ended=1)
    await define(stores, _workflow(*(msgspec.structs.replace(task, program="Q") for task in FIRST.tasks)))
    assert (await _rerun(stores, flow, [1], scope="dependents")).tasks == (1, 2, 3)
    assert [task.program for task in await _planned(stores, flow)] == ["Q"] * 3


async def test_a_version_is_named_by_number_or_hash_and_a_task_goes_back_to_the_old_one(
    stores: Stores,
) -> None:
    flow = await _flow(stores)
    first = await _newest(stores)
    await define(stores, _workflow(*(msgspec.structs.replace(task, program="Q") for task in FIRST.tasks)))
    await _rerun(stores, flow, [3], "2")
    await Operator(stores, flow, "eve").ignore([3], "once more")
    await _rerun(stores, flow, [3], first[:10])
    third = (await _planned(stores, flow))[2]
    assert (third.program, third.definition) == ("P3", first)
    with pytest.raises(UnknownVersionError, match="no version 9"):
        await _rerun(stores, flow, [3], "9")


async def test_parameters_that_were_given_stay_given_and_new_ones_go_on_top(stores: Stores) -> None:
    def version(day: str, **more: Any) -> WorkflowDefinition:
        return _workflow(
            _task(1, name="one", parameters={"day": day, **more}),
            _task(2, 1, name="two", parameters={"day": day, **more}),
        )

    flow = await _flow(stores, version("mon", n=1), Asked(parameters={"day": "tue"}, priority=-3))
    await define(stores, version("wed", n=2, m=5))
    change = Change({"m": 6}, [], ["n"], "#/parameters")
    await _rerun(stores, flow, [2], changes={2: change})
    second = (await _planned(stores, flow))[1]
    assert (second.parameters, second.priority) == ({"day": "tue", "m": 6}, -3)
    await Operator(stores, flow, "eve").ignore([2], "once more")
    await define(stores, version("thu", n=3, m=7, k=8))
    await _rerun(stores, flow, [2])
    second = (await _planned(stores, flow))[1]
    assert second.parameters == {"day": "tue", "m": 6, "k": 8}, "what was given to the rerun is given, too"
    with pytest.raises(ParametersError, match="none of the tasks has a parameter 'z'"):
        await _rerun(stores, flow, [1], changes={1: Change({}, [], ["z"], "#/parameters")}, scope="only")


@pytest.mark.parametrize(
    ("version", "says"),
    [
        (_workflow(*FIRST.tasks[:2]), "task 3 'three' is not in it"),
        (_workflow(*FIRST.tasks, _task(4, 3)), "task 4 is new in it"),
        (
            _workflow(*FIRST.tasks[:2], _task(3, 2, name="load")),
            "instead of task 3 'three' it has task 3 'load'",
        ),
        (
            _workflow(*FIRST.tasks[:2], _task(7, 2, name="three")),
            r"instead of task 3 'three' it has task 3 'three' \(taskSeq 7\)",
        ),
        (
            _workflow(*FIRST.tasks[:2], _task(3, 1, name="three")),
            "task 3 'three' depends on 1 in it, in the flow on 2",
        ),
    ],
    ids=["one less", "one more", "another name", "another number", "another edge"],
)
async def test_a_version_with_other_tasks_or_edges_is_refused(
    stores: Stores, version: WorkflowDefinition, says: str
) -> None:
    flow = await _flow(stores)
    before = await Operator(stores, flow, "").state()
    await define(stores, version)
    with pytest.raises(RefusedError, match=f"version [0-9a-f]{{8}} has other .*: {says}.*Fork") as refused:
        await _rerun(stores, flow, [1], scope="dependents")
    assert refused.value.reason == "other-tasks"
    assert (await Operator(stores, flow, "").state()).version == before.version


async def test_of_many_differences_the_first_are_named(stores: Stores) -> None:
    flow = await _flow(stores, _workflow(*(_task(seq) for seq in range(1, 13))), ended=12)
    await define(stores, _workflow(*(_task(seq + 20) for seq in range(1, 13))))
    with pytest.raises(RefusedError, match=r"task 5 it has task 5 \(taskSeq 25\); and 7 more"):
        await _rerun(stores, flow, "all")


async def test_parameters_of_the_flow_are_put_into_the_new_bodies(stores: Stores) -> None:
    def version(*used: str, **properties: Any) -> WorkflowDefinition:
        schema = {
            "type": "object",
            "properties": {"day": {"type": "string"}, **properties},
            "required": ["day"],
        }
        parameters = {name: {"$param": name} for name in used}
        return _workflow(_task(1, name="one", parameters=parameters), parameters_schema=schema)

    flow = await _flow(stores, version("day"), Asked(parameters={"day": "tue"}))
    await define(stores, version("day", "n", n={"type": "integer", "default": 7}))
    await _rerun(stores, flow, [1])
    assert (await _planned(stores, flow))[0].parameters == {"day": "tue", "n": 7}
    await Operator(stores, flow, "eve").ignore([1], "once more")
    await define(stores, version("day", day={"type": "integer"}))
    with pytest.raises(ParametersError, match="integer"):
        await _rerun(stores, flow, [1])


async def test_what_was_given_as_data_stays_data_among_references(stores: Stores) -> None:
    """Who registers a flow must not read a secret because a later version of a task refers to something."""
    looks_odd = {"$secret": "TOKEN"}
    data = _workflow(_task(1), _task(2, 1, parameters={"a": 1, "b": 2}))
    flow = await _flow(stores, data, Asked(parameters={"a": looks_odd}))
    refers = _workflow(_task(1), _task(2, 1, parameters={"a": 1, "b": {"$from": 1, "default": 0}}))
    await define(stores, refers)
    await _rerun(stores, flow, [2])
    second = (await _planned(stores, flow))[1]
    assert (second.refs, second.parameters["a"]) == (True, {"$literal": looks_odd})
    forked = await fork(stores, Forking(flow=flow, tasks=[2], version="newest"), "eve")
    assert (await _planned(stores, forked.task_flow_id))[1].parameters["a"] == {"$literal": looks_odd}
    await Operator(stores, flow, "eve").ignore([2], "once more")
    await define(stores, data)
    await _rerun(stores, flow, [2])
    second = (await _planned(stores, flow))[1]
    assert (second.refs, second.parameters) == (False, {"a": looks_odd, "b": 2})


async def test_a_task_waits_by_the_keys_of_its_new_parameters(stores: Stores) -> None:
    control = FlowControl(scope="workflow", name="w", fair_by="customer")
    if isinstance(stores, PostgresStores):
        await set_control(stores, control)
    else:
        assert isinstance(stores, MemoryStores)
        stores.said.put_control(control)
    flow = await _flow(stores, _workflow(_task(1, parameters={"customer": "a"})))
    await define(stores, _workflow(_task(1, parameters={"customer": "b"})))
    (before,) = await _planned(stores, flow)
    await _rerun(stores, flow, [1])
    (after,) = await _planned(stores, flow)
    assert (before.fair_key, after.fair_key) == ("a", "b")


async def test_a_flow_that_is_already_of_that_version_is_rerun_as_ever(stores: Stores) -> None:
    flow = await _flow(stores)
    await _rerun(stores, flow, [3])
    assert [task.definition for task in await _planned(stores, flow)] == ["", "", ""]
    await Operator(stores, flow, "eve").ignore([3], "once more")
    await _rerun(stores, flow, [3], changes={3: Change({"n": 1}, [], [], "#/parameters")})
    third = (await _planned(stores, flow))[2]
    assert (third.parameters, third.definition) == ({"n": 1}, "")


async def test_sent_again_it_is_done_once_even_if_the_newest_version_is_another_by_then(
    stores: Stores,
) -> None:
    flow = await _flow(stores)
    first = await _rerun(stores, flow, [3], operation="once")
    await define(stores, _workflow(*FIRST.tasks, _task(4, 3)))
    assert (await _rerun(stores, flow, [3], operation="once")).version == first.version


async def test_a_flow_without_a_version_cannot_be_told_what_it_was_given(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = await _flow(stores)
    operator = Operator(stores, flow, "eve")
    state = await operator.state()
    state.registered = msgspec.structs.replace(state.registered, definition="")

    async def told() -> Any:
        return state

    monkeypatch.setattr(operator, "state", told)
    with pytest.raises(RefusedError, match="it names no version") as refused:
        await operator.rerun([3], "", {}, "newest")
    assert refused.value.reason == "no-version"


async def test_a_task_that_another_operator_changes_meanwhile_is_looked_at_again(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = await _flow(stores, ended=1)
    await define(stores, _workflow(*(msgspec.structs.replace(task, program="Q") for task in FIRST.tasks)))
    operator = Operator(stores, flow, "eve")
    state, reads = operator.state, 0

    async def changed_since() -> Any:
        nonlocal reads
        found = await state()
        reads += 1
        if reads == 1:
            await Operator(stores, flow, "bob").prioritise(7)
        return found

    monkeypatch.setattr(operator, "state", changed_since)
    assert (await operator.rerun([1], "dependents", {}, "newest")).tasks == (1, 2, 3)
    assert reads > 1
    assert {task.priority for task in await _planned(stores, flow)} == {7}
    where = (stores.redis, stores.partition_of(flow), flow)
    messages = await read_messages(*where, [1, 2, 3])
    assert messages is not None
    assert all(b'"program":"Q"' in message for message in messages.values())


async def test_a_fork_with_a_version_tells_what_was_given_to_tasks_of_another_one(stores: Stores) -> None:
    """Of a task that a rerun gave a version, that version says what is defined."""

    def version(day: str) -> WorkflowDefinition:
        return _workflow(_task(1, parameters={"day": day}), _task(2, 1, parameters={"day": day}))

    flow = await _flow(stores, version("mon"))
    await define(stores, version("tue"))
    await _rerun(stores, flow, [2])
    await define(stores, version("wed"))
    forked = await fork(stores, Forking(flow=flow, tasks=[1], version="newest"), "eve")
    assert [task.parameters["day"] for task in await _planned(stores, forked.task_flow_id)] == ["wed", "wed"]
    as_it_is = await fork(stores, Forking(flow=flow, tasks=[1]), "eve")
    planned = await _planned(stores, as_it_is.task_flow_id)
    assert [task.parameters["day"] for task in planned] == ["mon", "tue"]
    assert [bool(task.definition) for task in planned] == [False, True]


async def test_a_dry_run_knows_the_rules_of_the_version_that_what_runs_again_is_to_have(
    stores: Stores,
) -> None:
    flow = await _flow(stores)
    failed = _task(2, 1, name="two", rule="failed")
    await define(stores, _workflow(_task(1, name="one"), failed, _task(3, 2, name="three", rule="settled")))
    told = await Operator(stores, flow, "eve").effect_of_rerun([2, 3], "", {}, "newest")
    assert (told.passed_over, told.ready) == ([2], [3])
    await _rerun(stores, flow, [2, 3])


async def test_a_dry_run_knows_what_a_task_no_longer_needs_as_it_is_given_something_else(
    stores: Stores,
) -> None:
    reading = _task(2, 1, name="two", parameters={"n": {"$from": "one"}})
    ruled = _task(3, 1, rule="settled")
    flow = await _flow(stores, _workflow(_task(1, name="one"), reading, ruled), ended=0)
    operator = Operator(stores, flow, "eve")
    await operator.ignore([1], "", cascade=True)
    changes = {2: Change({"n": 3}, [], [], "#/parameters")}
    told = await operator.effect_of_rerun([2], "", changes)
    await operator.rerun([2], "", changes)
    task = (await operator.state()).task(2)
    assert (told.runs, told.ready, task.is_ready) == ([2], [2], True)
