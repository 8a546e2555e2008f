"""What a flow returns, from the results of its tasks as they are stored."""

import asyncio
from typing import Any

import msgspec
import pytest

from flower_engine.flows.flow_results import add_result
from flower_engine.flows.memory_sources import MemoryDefinitions
from flower_engine.model.definitions.definition import TaskDefinition, WorkflowDefinition, plan_flow
from flower_engine.model.definitions.workflow_versions import version_of
from flower_engine.model.events.attempt_events import TaskFinished, TaskStarted
from flower_engine.model.events.events import AnyEvent, FlowRegistered
from flower_engine.model.events.operator_events import TaskIgnored
from flower_engine.model.folding.fold import fold
from flower_engine.model.values.blob_ref import BlobRef
from flower_engine.projection.read.state_views import view_of_state
from flower_engine.projection.read.views import FlowView
from flower_engine.runtime.clock import SystemClock

FLOW = "018f3c5e-7a10-7000-8000-000000000001"
BLOB = BlobRef(sha256="a" * 64, bytes=1_000_000, store="api")


async def returned(
    returns: Any, *, ends: bool = True, blob: BlobRef = BLOB, content: bytes = b'{"n":8}'
) -> FlowView:
    """A flow whose tasks have a result, a result in a blob, a stand-in, and nothing."""
    names = ("small", "large", "given", "passed")
    tasks = tuple(
        TaskDefinition(task_seq=seq * 10, task_name=name, program="A", depends_on=())
        for seq, name in enumerate(names, start=1)
    )
    definition = WorkflowDefinition(name="w", tasks=tasks, returns=returns)
    definitions = MemoryDefinitions(SystemClock())
    await definitions.put(definition, "somebody")
    common: dict[str, Any] = {"at": 2, "flow": FLOW}
    attempt: dict[str, Any] = {**common, "attempt": 1, "lease": "1-0"}
    events: list[AnyEvent] = [
        FlowRegistered(
            **common,
            v=1,
            workflow="w",
            order=0,
            tasks=plan_flow(definition),
            definition=version_of(definition).hash,
            parameters={"day": {"$from": "small"}},
        ),
        TaskStarted(**attempt, v=2, task=1, worker="x"),
        TaskStarted(**attempt, v=3, task=2, worker="x"),
        TaskFinished(**attempt, v=4, task=1, result=msgspec.Raw(b'{"n":1,"$secret":"NAME"}')),
        TaskFinished(**attempt, v=5, task=2, blob=blob),
        TaskIgnored(**common, v=6, task=3, was=0, by="x", result=msgspec.Raw(b"[7]")),
    ]
    if ends:
        events.append(TaskIgnored(**common, v=7, task=4, was=0, by="x", ends=True))
    view = view_of_state(fold(events)[FLOW], 0)

    async def fetch(blob: BlobRef) -> bytes:
        assert blob.bytes <= 8 << 20
        return await asyncio.sleep(0, content)

    await add_result(definitions, view, fetch, asyncio.Semaphore(1))
    return view


@pytest.mark.parametrize(
    ("returns", "result"),
    [
        (None, None),
        ({"$from": "small", "path": "/n"}, 1),
        ({"$from": 10}, {"n": 1, "$secret": "NAME"}),
        ({"$from": "large", "path": "/n"}, 8),
        (
            {"all": {"$from": "large"}, "text": {"$text": "{n}", "n": {"$from": 20}}},
            {"all": {"n": 8}, "text": '{"n":8}'},
        ),
        ([{"$from": "given", "path": "/0"}, {"$from": "passed", "default": 3}], [7, 3]),
        ({"day": {"$param": "day"}, "none": {"$param": "other"}}, {"day": {"$from": "small"}, "none": None}),
        ({"$text": "{n} rows", "n": {"$from": "small", "path": "/n"}}, "1 rows"),
        ({"$literal": {"$from": "small"}}, {"$from": "small"}),
    ],
)
async def test_a_flow_returns_what_its_version_says(returns: Any, result: Any) -> None:
    flow = await returned(returns)
    assert msgspec.json.decode(msgspec.json.encode(flow.result)) == result
    assert flow.result_problem is None


async def test_a_value_that_is_not_there_is_said() -> None:
    flow = await returned({"n": {"$from": "passed"}})
    assert (flow.result, flow.result_problem) == (
        None,
        "what the flow returns is the result of task passed, which has none: it was passed over",
    )
    flow = await returned({"$from": "large", "path": "/m"})
    assert "'/m' of the result of task large, where there is" in (flow.result_problem or "")


async def test_a_large_result_that_is_all_stays_where_it_lies() -> None:
    flow = await returned({"$from": "large"})
    assert (flow.result, flow.result_blob, flow.result_problem) == (None, BLOB, None)


async def test_what_is_too_large_to_be_read_is_said() -> None:
    blob = BlobRef(sha256="b" * 64, bytes=(8 << 20) + 1, store="api")
    flow = await returned({"$from": "large", "path": "/n"}, blob=blob)
    assert flow.result is None and "task large (8388609 bytes" in (flow.result_problem or "")


async def test_a_blob_that_is_no_json_is_said() -> None:
    flow = await returned({"$from": "large", "path": "/n"}, content=b"nothing like it")
    assert flow.result is None and "cannot be told" in (flow.result_problem or "")


async def test_a_flow_that_goes_on_returns_nothing_yet() -> None:
    flow = await returned({"$from": "small"}, ends=False)
    assert (flow.result, flow.result_problem) == (None, None)
