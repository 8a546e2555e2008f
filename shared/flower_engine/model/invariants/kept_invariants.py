"""What Redis keeps of results is what the fold of its log says: no more, and no less."""

from collections.abc import Iterator, Mapping, Set

import msgspec

from flower_engine.model.folding.flow_state import FlowState
from flower_engine.model.folding.kept_results import have_data, kept_results, readers_of, reads_of_plan
from flower_engine.model.invariants.partition_state import LiveFlow, LiveState


def kept_differences(flow: FlowState, held: LiveFlow, releasing: Set[int] = frozenset()) -> Iterator[str]:
    """Where a flow counts readers, or keeps results, otherwise than its events say. ``releasing``: of which
    tasks something is left to do; of a map it may be that the results of its items are to be forgotten."""
    has_data = have_data(task.planned for task in flow.tasks)
    if has_data == (held.kept is None) and (has_data or held.kept):  # what reads no more may have read once
        yield f"flow {flow.flow}: tasks of it read others: {has_data}; its flags are {held.flags!r}"
    if not has_data:
        return
    reads = [reads_of_plan(task.planned) for task in flow.tasks]
    final = {task.planned.seq for task in flow.tasks if task.has_ended}
    readers = readers_of((task.planned for task in flow.tasks), final)
    kept = kept_results(flow)
    for seq, found in enumerate(held.tasks, start=1):
        where = f"flow {flow.flow} task {seq}"
        if found.reads != reads[seq - 1]:
            yield f"{where}: it reads the results of {found.reads!r}, its events say {reads[seq - 1]!r}"
        item = flow.task(seq).planned.item
        if item is not None and item[0] in releasing:
            continue
        if found.readers != readers[seq]:
            yield f"{where}: {found.readers} tasks are to read its result, its events say {readers[seq]}"
        expected = kept.get(seq, b"")[:1].decode()
        if found.kept[:1] != expected:
            yield f"{where}: of its result is kept {found.kept!r}, its events say {expected!r}"
        if found.kept_bytes != int(found.kept[1:] or 0):
            yield f"{where}: {found.kept_bytes} bytes of its result are counted, {found.kept[1:]} are kept"
    if held.kept != sum(found.kept_bytes for found in held.tasks):
        yield f"flow {flow.flow}: it counts {held.kept} bytes of kept results, its tasks say otherwise"


def kept_total_differences(live: LiveState) -> Iterator[str]:
    """Where the partition counts other bytes than its flows."""
    total = sum(flow.kept or 0 for flow in live.flows.values())
    if live.kept != total:
        yield f"the partition counts {live.kept} bytes of kept results, its flows have {total}"


def value_differences(flow: FlowState, found: Mapping[int, bytes]) -> Iterator[str]:
    """Where the payloads that Redis keeps of a flow, by task, are other values than its events have."""
    for seq, payload in kept_results(flow).items():
        held = found.get(seq)
        if held is not None and held != payload and not _is_same_value(held, payload):
            yield f"flow {flow.flow} task {seq}: the result that is kept is not the one that its events have"


def _is_same_value(one: bytes, other: bytes) -> bool:
    """Whether both are the same JSON; an archive writes it in its own way."""
    if one[:1] != other[:1]:
        return False
    decode = msgspec.json.decode
    return decode(one[1:]) == decode(other[1:])
