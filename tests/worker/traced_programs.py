"""Programs that trace themselves: they tell which span they find themselves in."""

from opentelemetry import trace

from flower_engine import program


def _found() -> list[str]:
    found = trace.get_current_span().get_span_context()
    return [f"{found.trace_id:032x}", f"{found.span_id:016x}", f"{found.trace_flags:02x}"]


@program
async def traced_async() -> list[str]:
    return _found()


@program
def traced_thread() -> list[str]:
    return _found()


@program(kind="process")
def traced_process() -> list[str]:
    return _found()
