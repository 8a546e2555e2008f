"""``AsyncClient`` is ``Client`` with asyncio: the same calls, and it may be cancelled."""

import asyncio
import gc
import inspect
from typing import Any

import pytest

from api.serving import RunningApi
from flower_engine import errors
from flower_engine.client import (
    AsyncClient,
    AsyncFlowHandle,
    Client,
    FlowHandle,
    FlowTimeoutError,
    NotRegisteredError,
    named,
    registration,
)
from flower_engine.client.async_workflows import AsyncWorkflows
from flower_engine.client.blocking_workflows import Workflows


async def test_a_flow_is_registered_awaited_and_operated(api: RunningApi) -> None:
    api.define("async", {}, {})
    async with AsyncClient(api.url) as client:
        flow = await client.register(named("async", key="k"))
        assert await flow.status() == "Wait"
        waiting = asyncio.create_task(flow.wait())
        async with api.engine() as engine:
            await engine.work_off("async")
        assert (await waiting).status == "Finish"
        assert await flow.result() is None
        kinds = [event.event and event.event["type"] async for event in flow.events()]
        assert kinds[0] == "flow.registered"
        fork = await flow.fork([2])
        assert (await fork.pause()).operation == "pause"
        assert (await fork.cancel()).operation == "cancel"
        await api.project()
        assert [entry.id async for entry in client.flows("async", limit=1)] == [fork.id]
        assert [one.task_id async for one in client.workflows][:1] == ["async"]
        made = await client.register_many([registration("async") for _ in range(3)])
        assert len({one.id for one in made}) == 3
        with pytest.raises(NotRegisteredError):
            await client.register_many([registration("nobody")])
        with pytest.raises(errors.UnknownWorkflowError):
            await client.register("nobody")
        assert await client.workers() == []


async def test_a_call_that_is_cancelled_ends_at_once_and_the_client_goes_on(api: RunningApi) -> None:
    api.define("endless", {})
    async with AsyncClient(api.url) as client:
        flow = await client.register("endless")
        waiting = asyncio.create_task(flow.wait())
        await flow.status()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await flow.wait()
        with pytest.raises(FlowTimeoutError):
            await flow.wait(0.1)
        assert await asyncio.gather(*(flow.status() for _ in range(20))) == ["Wait"] * 20


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_it_works_in_one_loop_after_the_other(api: RunningApi) -> None:
    client = AsyncClient(api.url)
    for _ in range(2):
        assert asyncio.run(client.workers()) == []
    del client
    gc.collect()  # what the first loop left open is of no other test's concern


@pytest.mark.parametrize(
    ("blocking", "asynchronous"),
    [(Client, AsyncClient), (FlowHandle, AsyncFlowHandle), (Workflows, AsyncWorkflows)],
)
def test_both_clients_have_the_same_methods(blocking: type, asynchronous: type) -> None:
    def methods(kind: type) -> dict[str, Any]:
        own = {name: value for name, value in vars(kind).items() if callable(value) and name[0] != "_"}
        return {name: list(inspect.signature(value).parameters) for name, value in own.items()}

    assert methods(blocking) == methods(asynchronous)
