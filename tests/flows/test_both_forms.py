"""What is done with flows is the same where definitions, archive and keys are in Postgres, and in memory."""

import msgspec
import pytest

from flower_engine.errors import (
    AmbiguousFlowError,
    DefinitionError,
    KeyConflictError,
    NotYetRegisteredError,
    ParametersError,
    RefusedError,
    TimeError,
    UnknownFlowError,
    UnknownTaskError,
    UnknownWorkflowError,
)
from flower_engine.flows.flow_names import find_flow_id
from flower_engine.flows.flow_operations import Operator
from flower_engine.flows.forks import Forking, fork
from flower_engine.flows.history import find_events, find_flow, find_history, find_task
from flower_engine.flows.past_flows import find_flow_at
from flower_engine.flows.registrations import Asked, Started, start, start_many
from flower_engine.flows.stores import Stores
from flower_engine.flows.wait_words import in_words
from flower_engine.flows.workflow_definitions import define, delete_definition
from flower_engine.model.definitions.definition import RetryPolicy, TaskDefinition, WorkflowDefinition
from flower_engine.model.events.event_base import FlowEvent
from flower_engine.model.events.events import FlowRegistered
from flower_engine.model.events.operator_events import TasksIgnored
from flower_engine.model.values.ids import make_flow_id
from flows.archiving import archive

PAIR = WorkflowDefinition(
    name="pair",
    tasks=(
        TaskDefinition(task_seq=1, program="A", parameters={"N": "1", "DEEP": {"list": [1, 2.5, None]}}),
        TaskDefinition(task_seq=2, program="B", depends_on=(1,), retry=RetryPolicy(max_attempts=3), units=2),
    ),
    timeout_ms=60_000,
)
UNKNOWN = make_flow_id(1_700_000_000_000, 0, 7)


async def _started(stores: Stores, asked: Asked | None = None) -> str:
    await define(stores, PAIR)
    return (await start(stores, "pair", "eve", asked)).flow


async def test_a_definition_is_read_as_it_was_put(stores: Stores) -> None:
    assert await stores.definitions.read("pair") is None
    assert await define(stores, PAIR)
    assert await stores.definitions.read("pair") == PAIR
    shorter = msgspec.structs.replace(PAIR, tasks=PAIR.tasks[:1])
    assert not await define(stores, shorter)
    assert await stores.definitions.read("pair") == shorter
    assert await delete_definition(stores, "pair")
    assert not await delete_definition(stores, "pair")
    assert await stores.definitions.read("pair") is None


async def test_a_definition_that_cannot_be_run_is_refused_and_the_old_one_stays(stores: Stores) -> None:
    await define(stores, PAIR)
    circle = msgspec.structs.replace(PAIR, tasks=(TaskDefinition(task_seq=1, program="A", depends_on=(1,)),))
    nul = msgspec.structs.replace(
        PAIR, tasks=(TaskDefinition(task_seq=1, program="A", parameters={"x": "a\0b"}),)
    )
    for wrong in (circle, nul):
        with pytest.raises(DefinitionError, match="task_seq 1"):
            await define(stores, wrong)
    assert await stores.definitions.read("pair") == PAIR


async def test_the_next_registration_heeds_a_change_of_the_definition(stores: Stores) -> None:
    first = await _started(stores)
    await define(stores, msgspec.structs.replace(PAIR, tasks=PAIR.tasks[:1]))
    second = (await start(stores, "pair", "eve")).flow
    assert [(await find_flow(stores, flow)).task_count for flow in (first, second)] == [2, 1]
    await delete_definition(stores, "pair")
    with pytest.raises(UnknownWorkflowError, match="'pair'"):
        await start(stores, "pair", "eve")


async def test_a_flow_looks_the_same_before_and_after_it_is_archived(stores: Stores) -> None:
    flow = await _started(stores, Asked(parameters={"N": "2"}, priority=-3))
    before = await find_flow(stores, flow)
    await archive(stores)
    assert (await stores.archive.flow(0, flow))[1] is not None
    after = await find_flow(stores, flow)
    assert _without_spaces(before) == _without_spaces(after)
    assert [task.task_priority for task in after.tasks] == [-3, -3]
    assert msgspec.json.decode(after.tasks[0].parameters)["N"] == "2"


def _without_spaces(view: object) -> object:
    return msgspec.json.decode(msgspec.json.encode(view))


async def test_why_a_task_waits_is_said(stores: Stores) -> None:
    flow = await find_flow(stores, await _started(stores))
    said = [in_words(task.wait_reason) for task in flow.tasks if task.wait_reason is not None]
    assert said == ["no live worker serves queue default", "waits for 1"]


@pytest.mark.parametrize("is_archived", [False, True])
async def test_a_history_is_found_in_pages_and_by_task(stores: Stores, is_archived: bool) -> None:
    flow = await _started(stores)
    await Operator(stores, flow, "eve").ignore([1], "no need")
    if is_archived:
        await archive(stores)
    await Operator(stores, flow, "eve").ignore([2], "neither")
    partition = stores.partition_of(flow)
    events = await find_events(stores, partition, flow)
    first = await find_history(stores, flow, None, 1)
    rest = await find_history(stores, flow, first.next, 100)
    raws = [msgspec.json.decode(event.event) for event in (*first.events, *rest.events)]
    assert [raw["type"] for raw in raws] == ["flow.registered", "task.ignored", "task.ignored"]
    assert len(events) == 3
    of_second = await find_events(stores, partition, flow, [2])
    assert [event.v for event in of_second if isinstance(event, FlowEvent)] == [1, 3]


@pytest.mark.parametrize("is_archived", [False, True])
async def test_what_was_done_to_several_tasks_at_once_is_among_the_events_of_each(
    stores: Stores, is_archived: bool
) -> None:
    flow = await _started(stores)
    await Operator(stores, flow, "eve").ignore([1, 2], "no need")
    if is_archived:
        await archive(stores)
    of_second = await find_events(stores, stores.partition_of(flow), flow, [2])
    assert [type(event) for event in of_second] == [FlowRegistered, TasksIgnored]


@pytest.mark.parametrize("is_archived", [False, True])
async def test_flows_are_found_by_how_their_ids_begin_and_the_last_one(
    stores: Stores, is_archived: bool
) -> None:
    with pytest.raises(UnknownFlowError, match="no flow was registered yet"):
        await find_flow_id(stores, "last")
    flows = [await _started(stores) for _ in range(2)]
    if is_archived:
        await archive(stores)
    assert await find_flow_id(stores, "last") in flows
    assert await find_flow_id(stores, flows[0]) == flows[0]
    assert await stores.archive.newest() in (flows if is_archived else [None])
    with pytest.raises(AmbiguousFlowError, match=flows[0]):
        await find_flow_id(stores, flows[0][:4])
    with pytest.raises(UnknownFlowError):
        await find_flow_id(stores, "ffff")


@pytest.mark.parametrize("is_archived", [False, True])
async def test_a_key_gives_its_flow_and_no_other_workflow_may_have_it(
    stores: Stores, is_archived: bool
) -> None:
    flow = await _started(stores, Asked(key="k"))
    await define(stores, msgspec.structs.replace(PAIR, name="other"))
    if is_archived:
        await archive(stores)
        assert (await stores.key_owners.find(["k", "unknown"])) == {"k": (flow, "pair")}
        keys = stores.partitions[0].keys
        await stores.redis.delete(keys.key("k"))
    again = await start(stores, "pair", "eve", Asked(key="k"))
    assert (again.flow, again.is_known) == (flow, True)
    with pytest.raises(KeyConflictError, match="use another key"):
        await start(stores, "other", "eve", Asked(key="k"))


async def test_of_many_registrations_those_that_fit_are_started(stores: Stores) -> None:
    await define(stores, PAIR)
    asked = [
        ("pair", Asked()),
        ("nobody", Asked()),
        ("pair", Asked(parameters={"M": 1})),
        ("pair", Asked(start_at="2026-02-30")),
        ("pair", Asked(task_parameters={"2": {"x": 1}}, delay_seconds=60)),
    ]
    outcomes = await start_many(stores, asked, "eve")
    kinds = [type(outcome) for outcome in outcomes]
    assert kinds == [Started, UnknownWorkflowError, ParametersError, TimeError, Started]
    started = [outcome.flow for outcome in outcomes if isinstance(outcome, Started)]
    reason = (await find_flow(stores, started[1])).tasks[0].wait_reason
    assert reason is not None
    assert in_words(reason).startswith("delayed until ")


@pytest.mark.parametrize("is_archived", [False, True])
async def test_a_flow_that_ended_runs_again_from_its_history(stores: Stores, is_archived: bool) -> None:
    flow = await _started(stores)
    operator = Operator(stores, flow, "eve")
    await operator.cancel("enough")
    if is_archived:
        await archive(stores)
        partition = stores.partition_of(flow)
        await stores.redis.delete(partition.keys.ended(flow))
    with pytest.raises(RefusedError, match="it has ended"):
        await operator.pause("too late")
    rerun = await operator.rerun([1], "dependents", {})
    assert list(rerun.tasks) == [1, 2]
    await archive(stores)
    assert (await find_flow(stores, flow)).status == "Wait"


async def test_a_fork_takes_over_what_is_not_run_again(stores: Stores) -> None:
    flow = await _started(stores)
    await Operator(stores, flow, "eve").ignore([1], "")
    await archive(stores)
    forked = await fork(stores, Forking(flow=flow, tasks=[2]), "eve")
    found = await find_flow(stores, forked.task_flow_id)
    assert [task.status for task in found.tasks] == ["Ignore", "Wait"]
    assert found.forked_from == flow


@pytest.mark.parametrize("is_archived", [False, True])
async def test_a_flow_is_shown_as_it_was(stores: Stores, is_archived: bool) -> None:
    flow = await _started(stores)
    await Operator(stores, flow, "eve").ignore([1], "")
    if is_archived:
        await archive(stores)
    registered = (await find_history(stores, flow, None, 1)).events[0].position
    then = await find_flow_at(stores, flow, registered)
    assert [task.status for task in then.tasks] == ["Wait", "Wait"]
    with pytest.raises(NotYetRegisteredError, match=flow):
        await find_flow_at(stores, flow, "2020-01-01")
    with pytest.raises(TimeError, match="at: this is no time"):
        await find_flow_at(stores, flow, "2020-02-30")


async def test_a_task_is_found_and_what_there_is_not_is_refused(stores: Stores) -> None:
    flow = await _started(stores)
    assert (await find_task(stores, flow, 2)).program == "B"
    with pytest.raises(UnknownTaskError, match="its tasks are 1 to 2"):
        await find_task(stores, flow, 3)
    for unknown in (UNKNOWN, "no id at all"):
        with pytest.raises(UnknownFlowError):
            await find_flow(stores, unknown)
