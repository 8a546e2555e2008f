"""Definitions of any shape, for properties: whatever people may define, and no more."""

from typing import Any

from hypothesis import strategies as st

from flower_engine.model.definitions.definition import TaskDefinition, WorkflowDefinition
from flower_engine.model.tasks.task_spec import RetryPolicy

_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
_NAME = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=8)
_MS = st.integers(1, 10_000_000)
_NUMBERS = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
_VALUES = st.recursive(
    st.none() | st.booleans() | _NUMBERS | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=8,
)


@st.composite
def _retries(draw: st.DrawFn) -> RetryPolicy:
    delay = draw(st.integers(0, 600_000))
    return RetryPolicy(
        max_attempts=draw(st.integers(1, 100)),
        delay_ms=delay,
        backoff=draw(st.floats(1, 1_000)),
        max_delay_ms=draw(st.integers(max(delay, 300_000), 10_000_000)),
        jitter=draw(st.floats(0, 1)),
        no_retry_on=tuple(draw(st.lists(_NAME, max_size=2))),
    )


@st.composite
def definitions(draw: st.DrawFn, name: str = "w") -> WorkflowDefinition:
    """A workflow that can be run: its tasks depend on earlier ones only."""
    seqs = sorted(draw(st.sets(st.integers(-50, 1_000), min_size=1, max_size=5)))
    tasks: list[TaskDefinition] = []
    for place, seq in enumerate(seqs):
        before = st.sets(st.sampled_from(seqs[:place])) if place else st.just(set[int]())
        fields: dict[str, Any] = {
            "task_seq": seq,
            "task_name": draw(st.none() | st.just(f"t{place}")),
            "program": draw(_NAME),
            "priority": draw(st.integers(-20, 19)),
            "parameters": draw(st.dictionaries(_TEXT, _VALUES, max_size=4)),
            "depends_on": draw(st.none() | before.map(tuple)),
            "retry": draw(st.none() | _retries()),
            "timeout_ms": draw(st.none() | _MS),
            "queue_timeout_ms": draw(st.none() | _MS),
            "units": draw(st.integers(1, 50)),
        }
        tasks.append(TaskDefinition(**fields))
    return WorkflowDefinition(
        name=name, tasks=tuple(draw(st.permutations(tasks))), timeout_ms=draw(st.none() | _MS)
    )
