"""While a program runs, the current span of OpenTelemetry is its attempt's."""

import json
import subprocess
import sys
from collections.abc import Callable

from flower_engine.traces.trace_ids import attempt_span_id, trace_id
from scripts.engine import Engine
from worker.running import OwnProcess, row, until_settled

_IMPORTS = """
import sys
import flower_worker.service, flower_worker.child, flower_engine.client
assert "opentelemetry.trace" not in sys.modules
from flower_engine.traces.user_context import begin_attempt, current_traceparent
begin_attempt("018f3c5e-7a10-7000-8000-000000000001", 1, 1)
assert current_traceparent() == ""
assert "opentelemetry.trace" not in sys.modules
import opentelemetry.trace
begin_attempt("018f3c5e-7a10-7000-8000-000000000001", 1, 1)
assert current_traceparent().startswith("00-018f3c5e7a1070008000000000000001-")
"""


async def test_each_kind_of_program_finds_itself_in_the_span_of_its_attempt(
    engine: Engine, spawn_worker: Callable[..., OwnProcess]
) -> None:
    kinds = ("async", "thread", "process", "async", "thread", "process")
    flow = await engine.register(*(row(seq, f"traced_{kind}") for seq, kind in enumerate(kinds, 1)))
    spawn_worker(programs=("worker.traced_programs",), concurrency=1, processes=1)
    (ended,) = await until_settled(engine, flow)
    for seq, task in enumerate(ended.tasks, 1):
        assert task.result is not None
        assert json.loads(task.result) == [trace_id(flow).hex(), attempt_span_id(flow, seq, 1).hex(), "01"]


def test_nobody_imports_opentelemetry_for_those_who_do_not_trace() -> None:
    subprocess.run([sys.executable, "-c", _IMPORTS], check=True)
