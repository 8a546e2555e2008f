"""In which trace a flow is registered: the header and the field ``traceparent``."""

from typing import Any

import pytest
from opentelemetry import context, trace

from api.serving import RunningApi, details
from flower_engine.client import AsyncClient, Client, named, registration

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
HEADER, FIELD = f"00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-00"


def said(api: RunningApi, flow: str) -> str | None:
    """The ``traceparent`` of a flow's registration; None: its event has none."""
    reply = api.client.get(f"/flows/{flow}/events").json()
    event: dict[str, Any] = reply["events"][0]["event"]
    return event.get("traceparent")


@pytest.mark.parametrize("body", [None, {}, {"priority": 1}])
def test_a_header_is_kept_in_the_event_and_without_one_nothing_is(api: RunningApi, body: Any) -> None:
    api.define("traced", {})
    for headers, kept in (({"traceparent": HEADER}, HEADER), ({}, None), ({"traceparent": "none"}, None)):
        reply = api.client.post("/register/traced", json=body, headers=headers)
        assert reply.status_code == 200, reply.text
        assert said(api, reply.json()["taskFlowId"]) == kept


def test_a_field_goes_before_the_header_and_one_that_is_none_is_refused(api: RunningApi) -> None:
    api.define("traced", {})
    headers = {"traceparent": HEADER}
    reply = api.client.post("/register/traced", json={"traceparent": FIELD}, headers=headers)
    assert said(api, reply.json()["taskFlowId"]) == FIELD
    for wrong in ("none", f"ff-{TRACE}-{SPAN}-01", f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE}-{SPAN}-01-x"):
        refused = api.client.post("/register/traced", json={"traceparent": wrong})
        assert refused.status_code == 422
        assert "traceparent" in details(refused)[0]


def test_in_bulk_the_header_is_for_those_without_the_field(api: RunningApi) -> None:
    api.define("traced", {})
    body = [{"taskId": "traced"}, {"taskId": "traced", "traceparent": FIELD}]
    entries = api.client.post("/register", json=body, headers={"traceparent": HEADER}).json()
    assert [said(api, entry["taskFlowId"]) for entry in entries] == [HEADER, FIELD]


async def test_the_client_sends_the_current_span_of_opentelemetry(api: RunningApi) -> None:
    api.define("traced", {})
    ids = trace.SpanContext(int(TRACE, 16), int(SPAN, 16), is_remote=False, trace_flags=trace.TraceFlags(1))
    with Client(api.url) as client:
        outside = client.register("traced").id
        token = context.attach(trace.set_span_in_context(trace.NonRecordingSpan(ids)))
        try:
            inside = client.register("traced").id
            explicit = client.register(named("traced", traceparent=FIELD)).id
            many = client.register_many([registration("traced")] * 2)
            async with AsyncClient(api.url) as other:
                later = (await other.register("traced")).id
        finally:
            context.detach(token)
    assert said(api, outside) is None
    assert [said(api, one) for one in (inside, explicit, later)] == [HEADER, FIELD, HEADER]
    assert [said(api, one.id) for one in many] == [HEADER, HEADER]
