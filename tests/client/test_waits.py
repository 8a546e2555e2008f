"""``Client`` and ``AsyncClient`` send signals, and see and answer approvals."""

from typing import Any

import httpx
import pytest

from api.serving import RunningApi
from flower_engine.client import AsyncClient, Client
from flower_engine.errors import FlowEndedError, ParametersError, RefusedError

PAID: dict[str, Any] = {"program": "@event", "dependsOn": [], "parameters": {"name": "paid", "key": "7"}}
ASKED: dict[str, Any] = {
    "program": "@approval",
    "dependsOn": [],
    "parameters": {"title": "Publish?", "shows": {"rows": 7}},
}


async def test_a_client_signals_and_answers(api: RunningApi, client: Client) -> None:
    api.define("client waits", PAID, ASKED)
    flow, other = client.register("client waits"), client.register("client waits")
    assert flow.signal("paid", {"n": 1}, key=8).became == "kept"
    assert flow.signal("paid", {"n": 1}, key=7, signal_id="one").task_exec_seq == 1
    assert flow.signal("paid", {"n": 1}, key=7, signal_id="one").became == "known"
    assert client.signal("paid", key=7, first=True).tasks[0]["taskFlowId"] == other.id
    assert client.signal("paid", key=7).taken == 0
    await api.project()
    listed = list(client.approvals("client waits"))
    assert {one.task_flow_id for one in listed} == {flow.id, other.id}
    assert len(list(client.approvals("client waits", mine=True, limit=1))) == 1
    assert list(client.approvals("client waits", role="ops")) == []
    shown = flow.approval(2)
    assert (shown.shows, shown.is_asked, shown.title) == ({"rows": 7}, True, "Publish?")
    with pytest.raises(ParametersError):
        flow.answer(2, {"approved": 7})
    with pytest.raises(RefusedError) as caught:
        flow.answer(2, True, attempt=2)
    assert caught.value.reason == "asked-anew"
    assert flow.answer(2, True, attempt=1).tasks == [2]
    with pytest.raises(FlowEndedError):
        flow.signal("paid")


async def test_a_rerun_by_a_client_keeps_answers_where_it_says_so(api: RunningApi) -> None:
    api.define(
        "kept answers",
        {**PAID, "taskName": "paid", "parameters": {"name": "kept"}},
        {**ASKED, "dependsOn": ["paid"]},
    )
    async with AsyncClient(api.url) as client:
        flow = await client.register("kept answers")
        await flow.signal("kept")
        await flow.answer(2, True)
        asked = await flow.rerun(["paid"], scope="dependents", keep_answers=True, dry_run=True)
        assert asked.effect is not None and asked.effect["askedAgain"] == [1]
        with Client(api.url) as other:
            seen = other.flow(flow.id)
            assert seen.rerun(["paid"], scope="dependents", dry_run=True).tasks == [1, 2]
            assert seen.rerun(["paid"], scope="dependents", keep_answers=True).tasks == [1]


async def test_an_async_client_signals_and_answers(api: RunningApi) -> None:
    api.define("async waits", PAID, ASKED)
    async with AsyncClient(api.url) as client:
        flow = await client.register("async waits")
        assert (await flow.signal("paid", key=7)).became == "taken"
        assert (await client.signal("paid", key=7)).taken == 0
        await api.project()
        assert [one.task_flow_id async for one in client.approvals("async waits")] == [flow.id]
        assert (await flow.approval(2)).is_asked
        assert (await flow.answer(2, False)).tasks == [2]


async def test_clients_list_signals_that_are_kept_and_delete_them(api: RunningApi) -> None:
    with Client(api.url) as client:
        for number in range(3):
            client.signal("stock", {"n": number}, key=number, keep_seconds=600, signal_id=f"s/{number}")
        assert [(one.id, one.key, one.taken) for one in client.kept_signals()] == [
            (f"s/{number}", str(number), 0) for number in range(3)
        ]
        assert client.delete_signal("s/1")
        assert not client.delete_signal("s/1")
    async with AsyncClient(api.url) as other:
        assert await other.delete_signal("s/2")
        assert not await other.delete_signal("s/9")
        assert [one.id async for one in other.kept_signals()] == ["s/0"]


def test_a_link_is_made_by_a_client(client: Client, api: RunningApi) -> None:
    api.define("linked", ASKED)
    flow = client.register("linked")
    with pytest.raises(RefusedError, match="FLOWER_LINK_SECRET"):
        flow.answer_link(1, "ann@example.org")
    assert httpx.get(f"{api.url}/answers/x.y", timeout=60).status_code == 404
