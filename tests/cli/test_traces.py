"""``flower traces export``: the trace of a flow, whenever it was, to a real receiver."""

import asyncio

import pytest

from api.serving import RunningApi
from cli.flower_command import Flower
from flower_engine.traces.trace_ids import attempt_span_id, flow_span_id, trace_id
from traces.otlp_receiver import GrpcReceiverServer, HttpReceiverServer


@pytest.mark.parametrize("kind", [HttpReceiverServer, GrpcReceiverServer], ids=["http", "grpc"])
async def test_a_flow_from_before_is_sent_whole_and_again_with_the_same_ids(
    own_api: RunningApi,
    flower: Flower,
    monkeypatch: pytest.MonkeyPatch,
    kind: type[HttpReceiverServer | GrpcReceiverServer],
) -> None:
    own_api.define("daily", {}, {})
    flow = own_api.register("daily")
    async with own_api.engine() as engine:
        await engine.work_off()
    with kind() as server:
        monkeypatch.setenv("FLOWER_TRACES_ENDPOINT", server.endpoint)
        monkeypatch.setenv("FLOWER_TRACES_PROTOCOL", server.protocol)
        said = await asyncio.to_thread(flower, "traces", "export", flow[:18])
        assert said.exit_code == 0, said.stderr
        assert f"of flow {flow} sent to {server.endpoint}" in said.stdout
        told = server.received.told()
        assert {one.trace for one in told} == {trace_id(flow).hex()}
        ids = {one.id for one in told}
        wanted = {flow_span_id(flow), attempt_span_id(flow, 1, 1), attempt_span_id(flow, 2, 1)}
        assert {one.hex() for one in wanted} <= ids
        await own_api.project()
        assert (await asyncio.to_thread(flower, "traces", "export", "last")).exit_code == 0
        again = server.received.told()
        assert len(again) == 2 * len(told) and set(again) == set(told)


def test_what_is_open_or_cannot_be_sent_is_said(
    own_api: RunningApi, flower: Flower, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_api.define("daily", {})
    flow = own_api.register("daily")
    assert "FLOWER_TRACES_ENDPOINT is not set" in str(flower("traces", "export", flow).exception)
    with HttpReceiverServer() as server:
        monkeypatch.setenv("FLOWER_TRACES_ENDPOINT", server.endpoint)
        assert "0 spans" in flower("traces", "export", flow).stdout
        server.received.answers = [503]
        assert flower("cancel", flow).exit_code == 0
        away = flower("traces", "export", flow)
        assert away.exit_code == 5 and "answers 503" in away.stderr
    assert flower("traces", "export", "ffffffff").exit_code == 1
