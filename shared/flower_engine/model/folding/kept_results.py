"""Which results a flow under way keeps for the tasks that read them.

The rule, which the transitions are compared with: the result of a task is kept from when the task is final
with a value until no task that is not final reads it. A *reader* is a task whose parameters refer to the
result. A flow in which no task reads another keeps nothing, and nothing of this is looked at.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

import msgspec

from flower_engine.model.definitions.definition import PlannedTask
from flower_engine.model.definitions.task_message import TaskMessage
from flower_engine.model.folding.flow_state import FlowState, TaskState
from flower_engine.model.maps.earlier_items import EarlierItem
from flower_engine.model.maps.map_items import numbers_of, without_items
from flower_engine.model.parameters.references import scan_parameters
from flower_engine.model.waits.wait_parameters import MAP

MOST_OF_FLOW_BYTES = 4 * 1024 * 1024
"""What a flow keeps in Redis; results beyond that go to the blob store."""
MOST_OF_REPLY_BYTES = 256 * 1024
"""What the reply of one claim holds of results; a worker asks for what is missing there."""
LEAST_BLOB_BYTES = 1024
"""Results up to this size are kept in Redis whatever else is there: a reference is hardly smaller."""

INLINE, BLOB, NOTHING = b"=", b"@", b"-"
"""How a payload begins: the JSON of the result, or of the ``BlobRef`` of where it lies; or all there is of a
task that was passed over without a result."""

_encode = msgspec.json.Encoder().encode


def reads_of(task: PlannedTask | TaskMessage) -> dict[int, bool]:
    """The tasks whose results a task reads, and of each whether it cannot do without.

    An edge to a task that it cannot do without is a *data edge*; all others are *order edges*. A map reads
    its items, too, and does without those that have no result; one whose items go along those of another map
    reads these alone.
    """
    reads: dict[int, bool] = {}
    if task.reads and not (isinstance(task, PlannedTask) and task.along):
        for use in scan_parameters(task.parameters).uses:
            producer = task.reads.get(use.form.name)
            if producer is not None:
                reads[producer] = reads.get(producer, False) or use.form.is_needed
    if isinstance(task, PlannedTask) and task.items is not None:
        reads.update(dict.fromkeys(numbers_of(task.items), False))
    return reads


def is_read_by(task: PlannedTask, producer: int) -> bool:
    """Whether a task reads the result of this one."""
    if task.items is not None:
        return producer in numbers_of(task.items) or (not task.along and producer in task.reads.values())
    return producer in reads_of(task)


def have_data(tasks: Iterable[PlannedTask]) -> bool:
    """Whether one of these tasks of a flow reads the result of another, or will."""
    return any(task.reads or task.program == MAP for task in tasks)


def reads_of_plan(task: PlannedTask) -> str:
    """The same as ``reads_text`` of what a task reads; the items of a map are told as ``5-8?``."""
    if task.items is None:
        return reads_text(reads_of(task))
    own = "" if task.along else reads_text(reads_of(without_items(task)))
    first, count = task.items
    return f"{own}{',' if own else ''}{first}-{first + count - 1}?"


def reads_text(reads: Mapping[int, bool]) -> str:
    """What a task reads as Redis holds it: ``2,3?``; ``?`` stands behind a result that it can do without."""
    return ",".join(f"{seq}{'' if is_needed else '?'}" for seq, is_needed in sorted(reads.items()))


def readers_of(tasks: Iterable[PlannedTask], final: Collection[int]) -> Counter[int]:
    """By task, how many tasks that are not final read its result."""
    return Counter(seq for task in tasks if task.seq not in final for seq in reads_of(task))


def payload_of(task: TaskState) -> bytes | None:
    """The result of a task as Redis keeps it; None: it has none."""
    if task.blob is not None:
        return BLOB + _encode(task.blob)
    return None if task.result is None else INLINE + task.result


def payload_of_earlier(one: EarlierItem) -> bytes:
    """The same of an earlier item of a map."""
    return BLOB + _encode(one.blob) if one.blob is not None else INLINE + bytes(one.result)


def kept_results(flow: FlowState) -> dict[int, bytes]:
    """The payloads that a flow under way keeps, by task."""
    readers = readers_of((task.planned for task in flow.tasks), _final(flow))
    payloads = {seq: payload_of(flow.task(seq)) for seq in readers if flow.task(seq).has_ended}
    return {seq: payload for seq, payload in payloads.items() if payload is not None}


def _final(flow: FlowState) -> set[int]:
    return {task.planned.seq for task in flow.tasks if task.has_ended}
