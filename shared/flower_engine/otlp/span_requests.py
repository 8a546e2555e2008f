"""Spans as requests of OTLP, in protobuf.

Most attributes say what was said before: each is encoded once, and its bytes are merged into the span. That
is three times as fast as to set them one by one.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1 import trace_pb2

from flower_engine.own_version import own_version
from flower_engine.traces.span import Span, SpanEvent, Value

_log = logging.getLogger(__name__)

MOST_SPANS = 512
"""Of a request, as OpenTelemetry's own exporters have it."""

_MOST_BYTES = 1 << 20  # of what events say: half of what receivers take at the least is left for the rest
_MOST_KNOWN = 20_000
_NANOSECONDS = 1_000_000
_KIND = trace_pb2.Span.SPAN_KIND_INTERNAL
_ERROR = trace_pb2.Status.STATUS_CODE_ERROR


class SpanEncoder:
    """Encodes spans; it knows attributes that it encoded before."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, type, Value], bytes] = {}
        version = own_version().rpartition(" ")[2]
        service = {"service.name": "flower", "service.version": version}
        self._resource = Resource(attributes=[_attribute(*one) for one in service.items()])
        self._scope = InstrumentationScope(name="flower_engine", version=version)

    def requests(self, spans: Iterable[Span]) -> Iterator[bytes]:
        """Encoded requests with these spans, in their order."""
        scoped, request, size = None, None, 0
        for span in spans:
            if scoped is None:
                request, size = ExportTraceServiceRequest(), 0
                of_resource = request.resource_spans.add(resource=self._resource)
                scoped = of_resource.scope_spans.add(scope=self._scope)
            before = len(scoped.spans)
            try:
                self._add(scoped, span)
            except (ValueError, TypeError) as error:  # a time or a number that protobuf cannot hold
                del scoped.spans[before:]
                _log.error("a span of trace %s is lost, which cannot be encoded: %s", span.trace.hex(), error)
            size += sum(map(_size, span.events))
            if request is not None and (len(scoped.spans) >= MOST_SPANS or size > _MOST_BYTES):
                yield request.SerializeToString()
                scoped = None
        if request is not None and scoped is not None:
            yield request.SerializeToString()

    def _add(self, scoped: trace_pb2.ScopeSpans, span: Span) -> None:
        added = scoped.spans.add(
            trace_id=span.trace,
            span_id=span.id,
            parent_span_id=span.parent,
            name=_text(span.name),
            kind=_KIND,
            start_time_unix_nano=span.start_ms * _NANOSECONDS,
            end_time_unix_nano=span.end_ms * _NANOSECONDS,
        )
        pieces = [self._piece(name, value) for name, value in span.attributes.items()]
        if span.task:
            pieces.append(self._piece("flower.task", span.task))
        if span.label is not None:
            pieces.append(self._piece("flower.program", span.label.program))
            pieces.append(self._piece("flower.queue", span.label.queue))
        added.MergeFromString(b"".join(pieces))
        if span.error is not None:
            added.status.code = _ERROR
            added.status.message = _text(span.error)
        for event in span.events:
            added.events.add(
                time_unix_nano=event.at_ms * _NANOSECONDS,
                name=event.name,
                attributes=[_attribute(name, value) for name, value in event.attributes.items()],
            )
        added.dropped_events_count = span.dropped_events
        for link in span.links:
            added.links.add(trace_id=link.trace_id, span_id=link.span_id, flags=link.flags)

    def _piece(self, name: str, value: Value) -> bytes:
        key = (name, type(value), value)
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            found = self._known[key] = trace_pb2.Span(
                attributes=[_attribute(name, value)]
            ).SerializeToString()
        return found


def halves(request: bytes) -> Sequence[bytes]:
    """The request as two of half the spans; [] of one span, which cannot be divided."""
    whole = ExportTraceServiceRequest.FromString(request)
    (of_resource,) = whole.resource_spans
    (scoped,) = of_resource.scope_spans
    spans = list(scoped.spans)
    middle = len(spans) // 2
    if not middle:
        return ()
    found: list[bytes] = []
    for part in (spans[:middle], spans[middle:]):
        half = ExportTraceServiceRequest()
        added = half.resource_spans.add(resource=of_resource.resource).scope_spans.add(scope=scoped.scope)
        added.spans.extend(part)
        found.append(half.SerializeToString())
    return found


def _attribute(name: str, value: Value) -> KeyValue:
    if isinstance(value, bool):
        return KeyValue(key=name, value=AnyValue(bool_value=value))
    if isinstance(value, int):
        return KeyValue(key=name, value=AnyValue(int_value=value))
    if isinstance(value, float):
        return KeyValue(key=name, value=AnyValue(double_value=value))
    return KeyValue(key=name, value=AnyValue(string_value=_text(value)))


def _text(text: str) -> str:
    """The text as UTF-8 can hold it."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _size(event: SpanEvent) -> int:
    said: Mapping[str, Value] = event.attributes
    return 100 + sum(len(value) for value in said.values() if isinstance(value, str))
