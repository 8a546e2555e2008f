"""A flow's hash written anew from the fold of its events, for flows that have left Redis, or Redis itself."""

from collections.abc import Iterable

import msgspec

from flower_engine.model.decisions.decision_tasks import LETTERS
from flower_engine.model.events.attempt_events import TaskProgressed
from flower_engine.model.events.events import FlowRegistered
from flower_engine.model.events.operator_events import ENDING_FLAGS
from flower_engine.model.folding.flow_state import FlowState, TaskState
from flower_engine.model.folding.fold_rules import has_value, said_by
from flower_engine.model.folding.kept_results import INLINE, payload_of
from flower_engine.model.maps.earlier_items import earlier_text
from flower_engine.model.tasks.end_kinds import GIVEN_UP, VANISHED, kind_in_redis
from flower_engine.model.tasks.rules import Standing, stands_as
from flower_engine.model.tasks.status import Status
from flower_engine.model.tasks.task_error import TaskError
from flower_engine.model.values.key_parts import escape
from flower_engine.model.waits.wait_parameters import RETURNS
from flower_engine.model.waits.wait_programs import MOST_SIGNALS, Awaited
from flower_engine.transitions.data_fields import data_fields
from flower_engine.transitions.loader import Arg
from flower_engine.transitions.rule_fields import CANCELS_FLAG, FLAG, cancel_others, edges_fields
from flower_engine.transitions.task_fields import returns_flag, task_fields, typed_fields

_MOST_REASON = 500  # bytes


class Restored(msgspec.Struct, frozen=True):
    """An ended flow as the scripts take it: it is put back if Redis agrees that this was its end.

    ``fields`` are names and values of its hash, flat. ``cut_off``: the tasks that its end cut off.
    ``position``: its whole history up to there was read. Where Redis remembers no end of the flow, it is put
    back only if no end behind this position is forgotten. ``ended_ms``: when it ended; nothing is put back of
    what is being pruned.
    """

    version: int
    fields: tuple[Arg, ...]
    cut_off: tuple[int, ...] = ()
    position: str = ""
    ended_ms: int = 0

    @classmethod
    def of(cls, flow: FlowState, *, position: str = "", parked: bool = False) -> "Restored":
        """The flow as its events up to ``position`` left it (a later one would count an end that was not
        read); ``parked``: it gave its place back when it left Redis."""
        tasks = flow.tasks
        final = {task.planned.seq for task in tasks if task.has_ended}
        found = {seq: payload_of(flow.task(seq)) for seq in final}
        payloads = {seq: payload for seq, payload in found.items() if payload is not None}
        data = data_fields([task.planned for task in tasks], final, payloads)
        fields: list[Arg] = []
        timed = bool(flow.registered.timeout_ms)
        for task in tasks:
            planned = task.planned
            timed = timed or bool(planned.retry or planned.timeout_ms or planned.queue_timeout_ms)
            links = data.links.get(planned.seq, "")
            fields += task_fields(flow.workflow, planned, flow.dependents[planned.seq], final, links)
            fields += (f"s{planned.seq}", _state(task, is_ruled=flow.ruled))
            if planned.item is not None and task.ended_as == GIVEN_UP and task.error is not None:
                fields += (f"z{planned.seq}", reason_of(task.error))
            fields += _so_far(task)
            if planned.items is not None:
                along = f" {planned.along}" if planned.along else ""
                fields += (f"k{planned.seq}", f"{planned.items[0]} {planned.items[1]}{along}")
            if task.is_matched:
                fields += (f"j{planned.seq}", earlier_text(task.earlier))
            if task.is_awaiting and task.votes:
                fields += (f"v{planned.seq}", ",".join(spelled(name) for name in task.votes))
        registered = flow.registered
        if flow.rounds:
            fields += ("N", flow.rounds)
        if registered.timeout_ms:
            fields += ("t", registered.timeout_ms)
        if registered.cleanup_ms:
            fields += ("T", registered.cleanup_ms)
        if registered.schedule:
            fields += ("S", slot_text(registered))
        fields += _of_child(flow)
        # What ended in a pause is held still; what ended, or was lost, before its start waits for it still.
        flags = ("p" if timed else "") + _standing(flow, parked=parked) + _told_flags(flow)
        begun = any(task.attempt or task.status is Status.SUSPEND for task in tasks)
        if flow.registered.start_ms > (flow.ended_ms or 0) and not begun:
            flags += "w"
            fields += ("b", flow.registered.start_ms)
        if any(task.planned.items or task.ended_as == VANISHED for task in tasks):
            flags += f"mi{flow.defined}.{flow.steps}.{flow.done}"
        flags += (
            FLAG + CANCELS_FLAG * cancel_others([task.planned for task in tasks]) if flow.ruled else ""
        ) + ("x" if any(task.ended_as == GIVEN_UP for task in tasks) else "")
        fields += [*rule_fields(flow), *data.fields, *signal_fields(flow)]
        fields += typed_fields(task.planned for task in tasks)
        flags += data.flag
        counters = f"{flow.version} {flow.left} {flow.done} {flow.order}"
        fields += ("c", f"{counters} {flags}" if flags else counters)
        return cls(flow.version, tuple(fields), flow.cut_off, position, flow.ended_ms or 0)

    def messages(self, tasks: Iterable[int]) -> dict[int, bytes]:
        """The messages of those of the tasks that there are."""
        values = dict(zip(self.fields[::2], self.fields[1::2], strict=True))
        found = {task: values.get(f"m{task}") for task in tasks}
        return {task: message for task, message in found.items() if isinstance(message, bytes)}


def reason_of(error: TaskError) -> str:
    """Why an item of a map was given up, as its list tells it (``lua/lib/failed_for_good.lua``): of a long
    line the characters that fit."""
    first, *_ = error.message.split("\n", 1)
    if len(first) * 4 > _MOST_REASON:
        first = first.encode()[:_MOST_REASON].decode(errors="ignore")
    return spelled(f"{error.type}: {first}")


def _so_far(task: TaskState) -> Iterable[Arg]:
    """What its attempts have led to: failures, the round that it is in, progress."""
    seq = task.planned.seq
    if task.failures:
        yield from (f"x{seq}", task.failures)
    if task.round:
        yield from (f"n{seq}", b"%d %b" % (task.round, task.given or b"{}"))
    if task.progress is not None:
        yield from (f"g{seq}", _progress(task.progress))


def _standing(flow: FlowState, *, parked: bool) -> str:
    """The flags that say how the flow as a whole stands."""
    flags = ("h" if flow.paused else "") + ("z" if parked else "")
    if flow.ending is not None and flow.ended_ms is None:
        flags += ENDING_FLAGS[flow.ending.cause]
    return flags


def rule_fields(flow: FlowState) -> list[Arg]:
    """How the dependencies of its tasks stand, where it has rules, and when held ones are given up."""
    if not flow.ruled:
        return []
    stands: dict[int, Standing] = {}
    fields: list[Arg] = []
    for task in flow.tasks:
        how = stands_as(task.status, task.ended_as)
        if how != "open":
            stands[task.planned.seq] = how
        if task.gives_up_ms is not None:
            fields += (f"h{task.planned.seq}", task.gives_up_ms)
    with_value = {task.planned.seq: has_value(task) for task in flow.tasks}
    used = {task.planned.seq: task.used for task in flow.tasks}
    says = {task.planned.seq: said_by(task) for task in flow.tasks}
    return fields + edges_fields([task.planned for task in flow.tasks], stands, with_value, used, says)


def signal_fields(flow: FlowState) -> list[Arg]:
    """The signals that a flow keeps, and the ids of all that it got, as ``lua/lib/signals.lua`` has them."""
    fields: list[Arg] = []
    lines: list[str] = []
    for number, signal in enumerate(flow.signals.values(), start=1):
        lines.append(f"{number} {escape(signal.name)} {escape(signal.key)}\n")
        payload = bytes(signal.payload).decode()
        fields += (f"q{number}", f"{spelled(signal.id)}\n{spelled(signal.by)}\n{payload}")
    if lines:
        fields += ("Q", f"{len(lines) + 1}\n{''.join(lines)}")
    if flow.signal_ids:
        fields += ("I", min(len(flow.signal_ids), MOST_SIGNALS))
    for identity in sorted(flow.signal_ids):
        fields += (f"i{identity}", "")
    return fields


def spelled(text: str) -> str:
    """A text as JSON."""
    return msgspec.json.encode(text).decode()


def _told_flags(flow: FlowState) -> str:
    """Whether a schedule, or a parent, hears of it when it goes on, and whether it returns something."""
    told = "S" if flow.registered.schedule else ""
    if flow.parent is not None:
        told += "Kv" if flow.parent.window else "K"
    return told + returns_flag(task.planned for task in flow.tasks)


def _of_child(flow: FlowState) -> tuple[Arg, ...]:
    """Whose child it is, what it returns, and whether it is to have another round."""
    if flow.parent is None:
        return ()
    fields: tuple[Arg, ...] = ("P", flow.parent.text)
    if (returned := returned_by(flow)) is not None:
        fields += ("R", returned)
    if (again := flow.again) is not None:
        fields += ("A", b"%d %d %d %b" % (again.task, again.attempt, again.due_ms, bytes(again.given)))
    return fields


def returned_by(flow: FlowState) -> bytes | None:
    """What a child returns, behind the number of the task that says it; None: nothing, as far as is known."""
    for task in flow.tasks:
        if task.planned.program == RETURNS and task.status is Status.FINISH:
            payload = payload_of(task)
            if payload is not None:
                return b"%d %b" % (task.planned.seq, payload.removeprefix(INLINE))
    return None


def slot_text(registered: FlowRegistered) -> str:
    """Which slot of which schedule a flow is of, as its hash says it."""
    slots = (registered.slot, registered.previous_slot, registered.next_slot)
    return f"{registered.schedule} {' '.join(map(str, slots))}"


def _progress(told: TaskProgressed) -> bytes:
    """As a worker writes it: without what is not given."""
    given = {"fraction": told.fraction, "note": told.note}
    return msgspec.json.encode({name: value for name, value in given.items() if value not in (None, "")})


def _state(task: TaskState, *, is_ruled: bool) -> str:
    lease = task.lease if task.status is Status.FINISH and task.lease else "-"
    due_ms = task.again_ms if task.retry_ms is None else task.retry_ms
    if task.is_ready and due_ms is not None:
        lease = f"@{due_ms}"
    if task.child:
        lease = Awaited.of(task.planned, 0).text
    elif task.is_awaiting and task.awaiting is not None:
        lease = Awaited.of(task.planned, task.awaiting.until_ms).text
    is_told = is_ruled or task.ended_as in (VANISHED, GIVEN_UP)
    kind = kind_in_redis(task.ended_as, has_value=has_value(task)) if is_told else ""
    if task.status is Status.FINISH:
        kind = LETTERS[said_by(task)]
    return f"{int(task.status)}{kind} {task.attempt} {task.lost} {lease}"
