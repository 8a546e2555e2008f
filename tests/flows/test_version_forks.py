"""A fork with another version of its workflow: what still holds is taken over, and nothing else."""

from typing import Any

import msgspec
import pytest

from flower_engine.errors import ParametersError, RefusedError, UnknownVersionError
from flower_engine.flows.flow_operations import Operator
from flower_engine.flows.forks import Forking, effect_of_forking, fork
from flower_engine.flows.history import find_flow, find_task
from flower_engine.flows.parameter_changes import Change
from flower_engine.flows.registrations import Asked, start
from flower_engine.flows.stores import Stores
from flower_engine.flows.workflow_definitions import define
from flower_engine.model.definitions.definition import TaskDefinition, WorkflowDefinition


def _task(seq: int, *before: int, name: str | None = None, **more: Any) -> TaskDefinition:
    fields: dict[str, Any] = {"program": f"P{seq}", **more}
    return TaskDefinition(task_seq=seq, task_name=name, depends_on=before, **fields)


def _workflow(*tasks: TaskDefinition, **more: Any) -> WorkflowDefinition:
    return WorkflowDefinition(name="w", tasks=tasks, **more)


async def _ended(stores: Stores, workflow: WorkflowDefinition, asked: Asked | None = None) -> str:
    """A flow all of whose tasks are final."""
    await define(stores, workflow)
    flow = (await start(stores, "w", "eve", asked)).flow
    for seq in range(1, len(workflow.tasks) + 1):
        await Operator(stores, flow, "eve").ignore([seq], "done by hand")
    return flow


async def _forked(
    stores: Stores, flow: str, tasks: list[int], version: str = "newest", **more: Any
) -> dict[str, str]:
    """The status of each task of the fork, by program; it is as it was told before."""
    wanted = Forking(flow=flow, tasks=tasks, version=version, **more)
    told = (await effect_of_forking(stores, wanted)).effect
    new = (await fork(stores, wanted, "eve")).task_flow_id
    made = (await find_flow(stores, new)).tasks
    over = {task.task_exec_seq for task in made if task.status in ("Finish", "Ignore")}
    assert {*told.kept, *told.passed_over, *told.cut_off} == over
    assert told.runs == [task.task_exec_seq for task in made if task.task_exec_seq not in over]
    return {task.program: task.status for task in made}


async def test_what_is_unchanged_with_all_before_it_is_taken_over(stores: Stores) -> None:
    flow = await _ended(stores, _workflow(_task(1), _task(2, 1), _task(3, 1), _task(4, 2, 3), _task(5)))
    await define(
        stores,
        _workflow(_task(1), _task(2, 1, parameters={"new": 1}), _task(3, 1), _task(4, 2, 3), _task(6, 3)),
    )
    expected = {"P1": "Ignore", "P2": "Wait", "P3": "Ignore", "P4": "Wait", "P6": "Wait"}
    assert await _forked(stores, flow, [4]) == expected
    assert await _forked(stores, flow, [3]) == expected | {"P3": "Wait"}
    assert await _forked(stores, flow, [5]) == expected
    first = {"P1": "Ignore", "P2": "Ignore", "P3": "Ignore", "P4": "Ignore", "P5": "Wait"}
    assert await _forked(stores, flow, [5], "1") == first


async def test_how_a_task_is_run_does_not_change_what_it_did(stores: Stores) -> None:
    flow = await _ended(stores, _workflow(_task(1), _task(2, 1)))
    await define(stores, _workflow(_task(1, timeout_ms=5_000, queue="other", units=3), _task(2, 1)))
    assert await _forked(stores, flow, [2]) == {"P1": "Ignore", "P2": "Wait"}


async def test_tasks_are_the_same_by_name_and_else_by_number(stores: Stores) -> None:
    flow = await _ended(
        stores,
        _workflow(_task(1, name="a", program="A"), _task(2, program="B"), _task(3, 1, name="c", program="C")),
    )
    renumbered = _workflow(
        _task(2, program="B"),
        _task(7, name="a", program="A"),
        _task(8, 7, name="c", program="C"),
        _task(9, program="D"),
    )
    await define(stores, renumbered)
    assert await _forked(stores, flow, [2]) == {"A": "Ignore", "B": "Wait", "C": "Ignore", "D": "Wait"}
    renamed = _workflow(
        _task(1, name="z", program="A"), _task(2, program="B"), _task(3, 1, name="c", program="C")
    )
    await define(stores, renamed)
    assert await _forked(stores, flow, [2]) == {"A": "Wait", "B": "Wait", "C": "Wait"}


async def test_what_the_flow_was_given_goes_on_and_what_was_defined_is_new(stores: Stores) -> None:
    definition = _workflow(
        _task(1, parameters={"day": "mon", "n": 1}), _task(2, 1, parameters={"day": "mon"})
    )
    flow = await _ended(stores, definition, Asked(parameters={"day": "tue"}, priority=-3))
    await define(
        stores,
        _workflow(
            _task(1, parameters={"day": "wed", "n": 1}), _task(2, 1, parameters={"day": "wed", "m": 2})
        ),
    )
    forked = await fork(stores, Forking(flow=flow, tasks=[2], version="newest"), "eve")
    found = await find_flow(stores, forked.task_flow_id)
    assert [task.status for task in found.tasks] == ["Ignore", "Wait"]
    assert [task.task_priority for task in found.tasks] == [-3, -3]
    second = await find_task(stores, forked.task_flow_id, 2)
    assert msgspec.json.decode(second.parameters) == {"day": "tue", "m": 2}
    newest = await stores.definitions.newest_version("w")
    assert newest is not None
    assert found.workflow_version == newest.hash


async def test_parameters_of_the_flow_must_fit_the_other_version(stores: Stores) -> None:
    def schema(kind: str, **more: Any) -> dict[str, Any]:
        return {"type": "object", "properties": {"day": {"type": kind}, **more}, "required": ["day"]}

    first = _task(1, parameters={"day": {"$param": "day"}})
    flow = await _ended(
        stores,
        _workflow(first, _task(2, 1), parameters_schema=schema("string")),
        Asked(parameters={"day": "tue"}),
    )
    second = _task(2, 1, parameters={"n": {"$param": "n"}})
    with_default = schema("string", n={"type": "integer", "default": 7})
    await define(stores, _workflow(first, second, parameters_schema=with_default))
    assert await _forked(stores, flow, [2]) == {"P1": "Ignore", "P2": "Wait"}
    await define(stores, _workflow(first, parameters_schema=schema("integer")))
    with pytest.raises(ParametersError, match="integer"):
        await _forked(stores, flow, [1])


async def test_what_cannot_be_forked_so_is_said(stores: Stores) -> None:
    flow = await _ended(stores, _workflow(_task(1)))
    with pytest.raises(UnknownVersionError, match="no version 9"):
        await _forked(stores, flow, [1], "9")
    with pytest.raises(RefusedError, match="no task 2"):
        await _forked(stores, flow, [2])


async def test_without_tasks_only_what_is_changed_runs(stores: Stores) -> None:
    flow = await _ended(stores, _workflow(_task(1), _task(2, 1), _task(3, 1)))
    with pytest.raises(RefusedError, match="nothing would run: name tasks") as refused:
        await _forked(stores, flow, [])
    assert refused.value.reason == "nothing"
    await define(stores, _workflow(_task(1), _task(2, 1, parameters={"n": 1}), _task(3, 1)))
    assert await _forked(stores, flow, []) == {"P1": "Ignore", "P2": "Wait", "P3": "Ignore"}
    await define(stores, _workflow(_task(1), _task(2, 1)))
    with pytest.raises(RefusedError, match="nothing would run"):
        await _forked(stores, flow, [3])


async def test_changed_parameters_come_on_top_of_the_new_bodies(stores: Stores) -> None:
    flow = await _ended(
        stores, _workflow(_task(1, name="a", parameters={"n": 1, "m": 1}), _task(2, name="gone"))
    )
    renumbered = _workflow(_task(5, program="P5"), _task(7, name="a", parameters={"n": 2, "k": 3, "m": 2}))
    await define(stores, renumbered)
    changes = {1: Change({"k": 4}, ["m"], [], "#/parameters")}
    new = (
        await fork(stores, Forking(flow=flow, tasks=[1], changes=changes, version="newest"), "eve")
    ).task_flow_id
    tasks = [task.planned for task in (await Operator(stores, new, "").state()).tasks]
    assert [(task.task_seq, task.parameters) for task in tasks] == [(5, {}), (7, {"n": 2, "k": 4})]
    with pytest.raises(RefusedError, match="task 2 is not in that version"):
        await fork(stores, Forking(flow=flow, tasks=[2], changes={2: changes[1]}, version="newest"), "eve")


async def test_the_flow_itself_may_be_given_other_parameters(stores: Stores) -> None:
    schema = {
        "type": "object",
        "properties": {"day": {"type": "string"}, "old": {"type": "integer"}},
        "required": ["day"],
        "additionalProperties": False,
    }
    first = _task(1, parameters={"day": {"$param": "day"}})
    flow = await _ended(
        stores,
        _workflow(first, _task(2), parameters_schema=schema),
        Asked(parameters={"day": "mon", "old": 1}),
    )
    newer = {**schema, "properties": {"day": {"type": "string"}, "n": {"type": "integer", "default": 2}}}
    second = _task(2, parameters={"n": {"$param": "n"}})
    await define(stores, _workflow(first, second, parameters_schema=newer))
    assert await _forked(stores, flow, []) == {"P1": "Ignore", "P2": "Wait"}, "what is gone is left out"
    given = {"day": "tue", "n": 3}
    wanted = Forking(flow=flow, tasks=[], version="newest", parameters=given)
    new = (await fork(stores, wanted, "eve")).task_flow_id
    state = await Operator(stores, new, "").state()
    assert state.registered.parameters == given
    assert [task.planned.parameters for task in state.tasks] == [{"day": "tue"}, {"n": 3}]
    assert [task.status.word for task in state.tasks] == ["Wait", "Wait"]
    for wrong, says in (({"n": "x"}, "integer"), ({"old": 1}, "old")):
        with pytest.raises(ParametersError, match=says) as refused:
            await _forked(stores, flow, [], parameters=wrong)
        assert {fault.pointer.split("/")[1] for fault in refused.value.faults} == {"flowParameters"}


async def test_the_same_key_gives_the_same_fork_whatever_is_the_newest_version_by_then(
    stores: Stores,
) -> None:
    flow = await _ended(stores, _workflow(_task(1), _task(2)))
    await define(stores, _workflow(_task(1), _task(2, parameters={"n": 1})))
    first = await fork(stores, Forking(flow=flow, tasks=[], key="once", version="newest"), "eve")
    await define(stores, _workflow(_task(1), _task(2)))
    again = await fork(stores, Forking(flow=flow, tasks=[], key="once", version="newest"), "eve")
    assert again.task_flow_id == first.task_flow_id


async def test_a_fork_with_a_version_may_have_very_many_roots(stores: Stores) -> None:
    wide = [_task(seq, program="P") for seq in range(1, 602)]
    await define(stores, _workflow(*wide))
    flow = (await start(stores, "w", "eve")).flow
    await Operator(stores, flow, "eve").ignore([1], "by hand")
    await define(stores, _workflow(wide[0], *(_task(seq, program="Q") for seq in range(2, 602))))
    new = (await fork(stores, Forking(flow=flow, tasks=[], version="newest"), "eve")).task_flow_id
    statuses = [task.status for task in (await find_flow(stores, new)).tasks]
    assert (statuses[0], set(statuses[1:])) == ("Ignore", {"Wait"})
