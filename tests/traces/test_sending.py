"""Spans on their way: encoded, sent over HTTP and gRPC, refused, too large, or to a receiver that is away."""

import logging
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from flower_engine.errors import SettingsError
from flower_engine.otlp.open_receiver import open_receiver
from flower_engine.otlp.receiver import Protocols, Receiver, ReceiverAwayError
from flower_engine.otlp.sending import send
from flower_engine.otlp.span_requests import MOST_SPANS, SpanEncoder
from flower_engine.runtime.settings_loading import load_settings
from flower_engine.secrets import hide_secrets
from flower_engine.traces.span import Span, SpanEvent, TaskLabel
from flower_engine.traces.trace_ids import attempt_span_id, flow_span_id, trace_id
from flower_engine.traces.traceparent import Traceparent
from traces.otlp_receiver import GrpcReceiverServer, HttpReceiverServer

FLOW = "018f3c5e-7a10-7000-b000-0123456789ab"
Server = HttpReceiverServer | GrpcReceiverServer


@pytest.fixture(params=[HttpReceiverServer, GrpcReceiverServer], ids=["http", "grpc"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with request.param() as server:
        yield server


def receiver_of(server: Server, headers: str = "") -> Receiver:
    return open_receiver(server.endpoint, server.protocol, headers)


def span(number: int, **rest: object) -> Span:
    given = {
        "trace": trace_id(FLOW),
        "id": attempt_span_id(FLOW, number, 1),
        "parent": flow_span_id(FLOW),
        "name": "load ä",
        "start_ms": 1_790_000_000_000,
        "end_ms": 1_790_000_000_250,
        "attributes": {"flower.attempt": 1, "flower.found": True, "flower.worker": "w"},
        "task": number,
        "label": TaskLabel("load", "Load", "default"),
    }
    return Span(**{**given, **rest})  # type: ignore[arg-type] # of tests


async def test_a_span_comes_as_it_was_made(server: Server) -> None:
    event = SpanEvent(1_790_000_000_100, "exception", {"exception.message": "\ud800 lost", "n": 0.5})
    link = Traceparent(bytes(range(16)), bytes(range(8)), 1)
    made = span(3, error="E: no", events=(event,), dropped_events=2, links=(link,))
    receiver = receiver_of(server, "authorization=Bearer%20x%2Cy, x-scope=a")
    (request,) = SpanEncoder().requests([made])
    await send(receiver, request)
    await receiver.close()
    (came,) = server.received.spans
    assert (came.trace_id, came.span_id, came.parent_span_id) == (made.trace, made.id, made.parent)
    assert (came.name, came.kind, came.status.code, came.status.message) == ("load ä", 1, 2, "E: no")
    assert came.start_time_unix_nano == 1_790_000_000_000_000_000
    assert [(one.name, one.time_unix_nano) for one in came.events] == [
        ("exception", 1_790_000_000_100_000_000)
    ]
    assert came.events[0].attributes[0].value.string_value == "? lost"
    assert (came.dropped_events_count, came.links[0].trace_id) == (2, link.trace_id)
    assert dict(server.received.told()[0].attributes) == {
        "flower.attempt": 1,
        "flower.found": True,
        "flower.worker": "w",
        "flower.task": 3,
        "flower.program": "Load",
        "flower.queue": "default",
    }
    (resource,) = (one.resource for one in server.received.requests[0].resource_spans)
    assert resource.attributes[0].value.string_value == "flower"
    assert server.received.headers[0]["authorization"] == "Bearer x,y"
    assert server.received.headers[0]["x-scope"] == "a"


async def test_what_is_too_large_for_the_receiver_is_sent_in_parts(server: Server) -> None:
    server.received.most_spans = 100
    receiver = receiver_of(server)
    for request in SpanEncoder().requests(span(number) for number in range(1, MOST_SPANS + 10)):
        await send(receiver, request)
    await receiver.close()
    assert sorted(dict(one.attributes)["flower.task"] for one in server.received.told()) == list(
        range(1, MOST_SPANS + 10)
    )


async def test_what_the_receiver_refuses_for_what_it_holds_is_said_and_lost(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    server.received.answers = [400]
    receiver = receiver_of(server)
    requests = list(SpanEncoder().requests([span(1)])) * 2
    with caplog.at_level(logging.ERROR):
        for request in requests:
            await send(receiver, request)
    await receiver.close()
    assert len(server.received.spans) == 1
    assert "refuses" in caplog.text


@pytest.mark.parametrize("answer", [503, 401])
async def test_a_receiver_that_is_away_or_wants_another_token_is_told_as_away(
    server: Server, answer: int
) -> None:
    server.received.answers = [answer]
    receiver = receiver_of(server)
    (request,) = SpanEncoder().requests([span(1)])
    with pytest.raises(ReceiverAwayError, match="127"):
        await send(receiver, request)
    await send(receiver, request)
    await receiver.close()


@pytest.mark.parametrize("protocol", ["http", "grpc"])
async def test_nobody_listening_is_away_too(protocol: str) -> None:
    receiver = open_receiver("http://127.0.0.1:9", protocol, "")  # type: ignore[arg-type] # of a parameter
    with pytest.raises(ReceiverAwayError):
        await send(receiver, next(iter(SpanEncoder().requests([span(1)]))))
    await receiver.close()


def test_a_span_that_protobuf_cannot_hold_takes_no_other_with_it(caplog: pytest.LogCaptureFixture) -> None:
    spans = [span(1), span(2, start_ms=-5), span(3, attributes={"n": 2**80}), span(4)]
    (request,) = SpanEncoder().requests(spans)
    assert request.count(b"flower.task") == 2
    assert caplog.text.count("cannot be encoded") == 2


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_without_the_extra_it_is_said_what_to_install(
    protocol: Protocols, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (f"flower_engine.otlp.{protocol}_receiver", "grpc", "opentelemetry.proto"):
        monkeypatch.delitem(sys.modules, module, raising=False)
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(SettingsError, match=re.escape("pip install 'flower-engine[otel]'")):
        open_receiver("http://127.0.0.1:9", protocol, "")


def test_nobody_imports_what_only_traces_need() -> None:
    code = (
        "import sys, flower_projector.service, flower_worker.service, flower_cli.commands.traces;"
        "assert not {'grpc', 'google.protobuf', 'opentelemetry.proto'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    "endpoint", ["host:4318", "http://", "http://:4318", "http://host:99999", "http://h:x"]
)
def test_an_endpoint_that_is_none_is_refused_at_the_start(endpoint: str) -> None:
    with pytest.raises(SettingsError, match="FLOWER_TRACES_ENDPOINT"):
        load_settings(traces_endpoint=endpoint)


def test_what_authorises_is_shown_nowhere() -> None:
    load_settings(
        traces_endpoint="http://me:entirely@127.0.0.1:4318",
        traces_headers="authorization=Bearer%20unspeakable",
    )
    assert hide_secrets("said unspeakable, and entirely") == "said ***, and ***"


@pytest.mark.parametrize("headers", ["x", "=x", "a=b,c", "a=\x07", "a=%C3%A9", "a b=c", "grpc-trace-bin=x"])
def test_headers_that_are_none_are_refused_without_repeating_them(headers: str) -> None:
    with pytest.raises(SettingsError, match="FLOWER_TRACES_HEADERS: its part"):
        open_receiver("http://127.0.0.1:9", "http", headers)
