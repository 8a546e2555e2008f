"""A reply that is lost on its way: the call is sent again, and what it asks for is done once."""

import asyncio
from collections.abc import Callable, Iterator

import pytest

from api.serving import RunningApi
from chaos.proxy import Proxy
from flower_engine.client import ApiUnavailableError, AsyncClient, Client, FlowHandle, named, registration

Operation = Callable[[FlowHandle[None]], object]
OPERATIONS: dict[str, tuple[Operation, str]] = {
    "pause": (lambda flow: flow.pause(), "flow.paused"),
    "priority": (lambda flow: flow.prioritise(5), "flow.prioritised"),
    "ignore": (lambda flow: flow.ignore([1]), "task.ignored"),
    "cancel": (lambda flow: flow.cancel(), "flow.cancelled"),
    "rerun": (lambda flow: flow.rerun([1], parameters={"day": "b"}), "flow.rerun"),
}


@pytest.fixture(scope="module")
def lossy(proxy: Proxy) -> Iterator[Client]:
    with Client(f"http://127.0.0.1:{proxy.port}") as client:
        yield client


def define(api: RunningApi, workflow: str) -> None:
    api.define(workflow, {"parameters": {"day": "a"}}, {})


async def flows_of(api: RunningApi, workflow: str) -> int:
    await api.project()
    return len(api.client.get("/flows", params={"taskId": workflow}).json()["flows"])


async def test_a_flow_is_registered_once(api: RunningApi, proxy: Proxy, lossy: Client) -> None:
    define(api, "once")
    proxy.to_lose = 3
    flow = await asyncio.to_thread(lossy.register, "once", day="b")
    assert (proxy.to_lose, flow.is_duplicate) == (0, False)
    assert await flows_of(api, "once") == 1
    proxy.to_lose = 1
    assert (await asyncio.to_thread(lossy.register, named("once", key="mine"))).is_duplicate  # it cannot tell


async def test_many_are_registered_once(api: RunningApi, proxy: Proxy, lossy: Client) -> None:
    define(api, "once each")
    proxy.to_lose = 2
    made = await asyncio.to_thread(lossy.register_many, [registration("once each") for _ in range(50)])
    assert len({flow.id for flow in made}) == await flows_of(api, "once each") == 50


@pytest.mark.parametrize("verb", OPERATIONS)
async def test_an_operation_is_done_once(api: RunningApi, proxy: Proxy, lossy: Client, verb: str) -> None:
    operate, kind = OPERATIONS[verb]
    define(api, verb)
    flow = await asyncio.to_thread(lossy.register, verb)
    proxy.to_lose = 2
    done = await asyncio.to_thread(operate, flow)
    assert proxy.to_lose == 0 and done
    kinds = [event.event["type"] for event in flow.events() if event.event]
    assert (kinds.count(kind), len(kinds)) == (1, flow.show().version)


async def test_a_fork_is_made_once(api: RunningApi, proxy: Proxy, lossy: Client) -> None:
    define(api, "a fork")
    flow = await asyncio.to_thread(lossy.register, "a fork")
    proxy.to_lose = 1
    assert (await asyncio.to_thread(flow.fork, [2])).show().forked_from == flow.id
    assert await flows_of(api, "a fork") == 2


async def test_it_is_so_with_asyncio_too(api: RunningApi, proxy: Proxy) -> None:
    define(api, "async once")
    async with AsyncClient(f"http://127.0.0.1:{proxy.port}") as client:
        proxy.to_lose = 2
        flow = await client.register("async once")
        proxy.to_lose = 2
        await flow.cancel()
        assert await flow.status() == "Cancelled"
    assert await flows_of(api, "async once") == 1


async def test_a_client_that_gives_up_says_so(proxy: Proxy) -> None:
    with Client(f"http://127.0.0.1:{proxy.port}", retry_seconds=0.2) as client:
        proxy.to_lose = 1_000
        with pytest.raises(ApiUnavailableError, match="not done within"):
            await asyncio.to_thread(client.workers)
        proxy.to_lose = 0
        assert await asyncio.to_thread(client.workers) == []
