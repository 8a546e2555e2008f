"""What people trace themselves with OpenTelemetry, joined to the traces of flows, where they do.

Nothing here imports OpenTelemetry: whoever traces has imported ``opentelemetry.trace`` by then, and for all
others it is not there.
"""

import sys
from typing import Any

from flower_engine.traces.trace_ids import attempt_span_id, trace_id

_SAMPLED = 1


def current_traceparent() -> str:
    """The span that is current in the caller's code, as ``traceparent`` says it; "": there is none."""
    trace = _trace()
    if trace is None:
        return ""
    found = trace.get_current_span().get_span_context()
    if not found.is_valid:
        return ""
    return f"00-{found.trace_id:032x}-{found.span_id:016x}-{found.trace_flags:02x}"


def begin_attempt(flow: str, task: int, attempt: int) -> None:
    """From here on, in this context of ``contextvars``, the attempt's span is the current one: the parent of
    what its program traces. Its ids are computed; the span itself is told by the exporter."""
    trace = _trace()
    if trace is None:
        return
    context = trace.SpanContext(
        trace_id=int.from_bytes(trace_id(flow)),
        span_id=int.from_bytes(attempt_span_id(flow, task, attempt)),
        is_remote=True,
        trace_flags=trace.TraceFlags(_SAMPLED),
    )
    sys.modules["opentelemetry.context"].attach(trace.set_span_in_context(trace.NonRecordingSpan(context)))


def _trace() -> Any:
    """OpenTelemetry's module, as soon as somebody has imported all of it."""
    module = sys.modules.get("opentelemetry.trace")
    return module if hasattr(module, "set_span_in_context") else None
