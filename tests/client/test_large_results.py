"""What a flow returns is had whatever its size: in whole, in parts, and as its type."""

import asyncio
import hashlib
from typing import Any

import msgspec
import pytest

from api.serving import RunningApi
from flower_cli.commands.show import print_flow
from flower_cli.local.run import _tell  # pyright: ignore[reportPrivateUsage]
from flower_engine import errors, program, workflow
from flower_engine.client import AsyncClient, Client, FlowHandle, ResultError, flow_calls

MANY = 100_000


class Page(msgspec.Struct):
    title: str
    rows: list[int]


@program("large.text")
def text() -> str:
    raise NotImplementedError


@program("large.page")
def page() -> Page:
    raise NotImplementedError


@workflow("large.texts")
def texts() -> str:
    return text.step()


@workflow("large.pages")
def pages() -> Page:
    return page.step()


@workflow("large.titles")
def titles() -> str:
    return page.step().title


async def finished(api: RunningApi, client: Client, wanted: Any, value: Any, store: str = "api") -> Any:
    """A flow whose one task has this result, stored as a worker stores a large one; its handle."""
    await asyncio.to_thread(client.workflows.put, wanted)
    flow: FlowHandle[Any] = await asyncio.to_thread(client.register, wanted)
    content = msgspec.json.encode(value)
    sha256 = hashlib.sha256(content).hexdigest()
    (await asyncio.to_thread(api.client.put, f"/blobs/{sha256}", content=content)).raise_for_status()
    ref = msgspec.json.encode({"sha256": sha256, "bytes": len(content), "store": store})
    async with api.engine() as engine:
        (claim,) = await engine.claim(worker=flow.id, programs=("large.text", "large.page"))
        await engine.store(claim, worker=flow.id, payload=ref)
    return flow


@pytest.mark.parametrize(
    ("wanted", "value", "result"),
    [
        (texts, "x" * MANY, "x" * MANY),
        (pages, {"title": "large", "rows": [1] * MANY}, Page("large", [1] * MANY)),
        (titles, {"title": "large", "rows": [1] * MANY}, "large"),
    ],
    ids=["text", "struct", "part"],
)
async def test_a_large_result_is_of_its_type(
    api: RunningApi, client: Client, wanted: Any, value: Any, result: Any
) -> None:
    flow = await finished(api, client, wanted, value)
    assert await asyncio.to_thread(flow.result, 60) == result


async def test_the_result_of_one_task_is_had_wherever_it_lies(api: RunningApi, client: Client) -> None:
    flow = await finished(api, client, titles, {"title": "large", "rows": [1] * MANY})
    task = flow.tasks()[0]
    assert (task.result, task.blob and task.blob.store) == (None, "api")
    assert await asyncio.to_thread(flow.task_result, 1, Page) == Page("large", [1] * MANY)
    assert (await asyncio.to_thread(flow.task_result, task.name))["title"] == "large"
    async with AsyncClient(api.url) as other:
        assert (await other.flow(flow.id).task_result(1, Page)).title == "large"
    with pytest.raises(ResultError, match=r"large|Expected"):
        await asyncio.to_thread(flow.task_result, 1, int)
    with pytest.raises(errors.UnknownTaskError):
        await asyncio.to_thread(flow.task_result, "nobody")


async def test_a_task_that_has_returned_nothing_has_no_result(api: RunningApi, client: Client) -> None:
    api.define("nothing.yet", {})
    flow = client.register("nothing.yet")
    with pytest.raises(ResultError, match=r"task 1 \(A\) is Wait"):
        await asyncio.to_thread(flow.task_result, 1)
    flow.ignore([1], result={"rows": 3})
    await api.project()
    assert await asyncio.to_thread(flow.task_result, 1, dict[str, int]) == {"rows": 3}


async def test_a_large_result_is_shown_as_where_it_lies_and_printed_whole(
    api: RunningApi, client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    flow = await finished(api, client, texts, "x" * MANY)
    shown = await asyncio.to_thread(api.flow, flow.id)
    assert (shown["result"], shown["resultProblem"]) == (None, None)
    assert (shown["resultBlob"]["bytes"], shown["resultBlob"]["store"]) == (MANY + 2, "api")
    print_flow(shown)
    assert f"{MANY + 2} bytes, a blob:" in capsys.readouterr().out
    told = await asyncio.to_thread(client.run, flow_calls.whole(flow.show(), client.patience()))
    assert _tell(told) == 0
    assert msgspec.json.decode(capsys.readouterr().out) == "x" * MANY


async def test_a_blob_that_a_program_returned_stays_what_it_is(api: RunningApi, client: Client) -> None:
    value = {"$blob": {"sha256": "a" * 64, "bytes": 1, "store": "api"}}
    api.client.put(
        "/workflows/large.blob", json={"tasks": [{"taskSeq": 1, "program": "A"}], "returns": {"$from": 1}}
    )
    flow = client.register("large.blob")
    async with api.engine() as engine:
        (claim,) = await engine.claim(worker=flow.id)
        await engine.finish(claim, worker=flow.id, payload=msgspec.json.encode(value))
    shown = await asyncio.to_thread(api.flow, flow.id)
    assert (shown["result"], shown["resultBlob"]) == (value, None)


@pytest.mark.parametrize(("wanted", "words"), [(texts, "does not give it"), (titles, "none of the API's")])
async def test_what_lies_in_a_store_that_the_api_does_not_read_is_said(
    api: RunningApi, client: Client, wanted: Any, words: str
) -> None:
    flow = await finished(api, client, wanted, {"title": "large"}, store="memory://elsewhere")
    with pytest.raises(ResultError, match=words):
        await asyncio.to_thread(flow.result, 60)


async def test_a_blob_that_was_pruned_is_said(api: RunningApi, client: Client) -> None:
    for wanted in (texts, titles):
        flow = await finished(api, client, wanted, {"title": "pruned"})
        api.sql("DELETE FROM kr_blob")
        with pytest.raises(ResultError, match="pruned"):
            await asyncio.to_thread(flow.result, 60)
