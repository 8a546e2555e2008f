"""Signals to flows: to one by its id, or to those in which a task awaits them."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec

from flower_engine.errors import (
    FlowEndedError,
    MovedError,
    ParameterFault,
    ParametersError,
    RefusedError,
    TooManySignalsError,
)
from flower_engine.flows.history import find_state
from flower_engine.flows.stores import Stores
from flower_engine.log.client import queue_command, send
from flower_engine.log.partition import Partition
from flower_engine.log.reader import last_position
from flower_engine.model.parameters.value_schemas import faults_of_value
from flower_engine.model.values.key_parts import escape
from flower_engine.model.waits.wait_programs import (
    MOST_KEPT_SIGNALS,
    MOST_SIGNALS,
    known_parameters,
    takes_signal,
)
from flower_engine.transitions.operator_transitions import read_messages
from flower_engine.transitions.park_transitions import unpark
from flower_engine.transitions.restored_flow import Restored
from flower_engine.transitions.task_fields import decode_message
from flower_engine.transitions.wait_transitions import Sent, Signalled, signal

_TRIES = 5
_PAGE = 100  # flows that one call lets go on: a few milliseconds of Redis
_TYPED = "E"


class Delivered(msgspec.Struct, frozen=True):
    """What became of a signal by name and key: the tasks that took it; how many flows do not take it (not
    such a payload; or they got as many signals as a flow may, ``spent``); whether it was sent before, to the
    first flow that awaited it."""

    taken: list[Signalled]
    unfit: int = 0
    is_known: bool = False
    spent: tuple[str, ...] = ()


async def send_to_flow(stores: Stores, flow_id: str, sent: Sent) -> Signalled:
    """Sends a signal to a flow, which keeps it where no task awaits it; one that is parked is put back.

    Raises:
        UnknownFlowError: there is no such flow.
        FlowEndedError: it has ended.
        TooManySignalsError: it keeps as many signals as it may.
        RefusedError: it got as many as it may in all.
        ParametersError: the payload does not fit the type of a task that may take it.
    """
    partition = stores.living_partition_of(flow_id)
    for _ in range(_TRIES):
        faults = await _misfits(stores, partition, flow_id, sent)
        if faults:
            raise ParametersError(faults)
        (done,) = await signal(stores.redis, partition, sent, [flow_id])
        if done.word == "full":
            raise TooManySignalsError(
                f"flow {flow_id} keeps {MOST_KEPT_SIGNALS:,} signals that no task has taken yet"
            )
        if done.word == "spent":
            raise _spent([flow_id])
        if done.word != "absent":
            return done
        position = await last_position(stores.redis, partition)
        state = await find_state(stores, partition, flow_id)
        if state.ended_ms is not None:
            if sent.id in state.signal_ids:
                return Signalled(flow_id, "known")
            raise FlowEndedError(f"flow {flow_id} has ended ({state.status.word}): it takes no signals")
        with contextlib.suppress(MovedError):  # somebody was faster
            await unpark(stores.redis, partition, flow_id, Restored.of(state, position=position, parked=True))
    raise MovedError(f"flow {flow_id} changes all the time; send the signal again", "moved")


async def send_to_all(stores: Stores, sent: Sent, *, first: bool = False) -> Delivered:
    """Sends a signal to all flows in which a task awaits it, or to the first of them.

    Raises:
        ParametersError: the payload fits the type of none of these tasks.
        RefusedError: it does for some, whose flows got as many signals as they may in all.
    """
    done, faults = await deliver(stores, sent, first=first)
    if done.taken or done.is_known:
        return done
    if done.spent:
        raise _spent(done.spent)
    if faults:
        raise ParametersError(faults)
    return done


async def deliver(
    stores: Stores, sent: Sent, *, first: bool = False
) -> tuple[Delivered, list[ParameterFault]]:
    """The same, with what is wrong with the payload for a task that awaits it."""
    taken: list[Signalled] = []
    unfit, fault = 0, list[ParameterFault]()
    spent: list[str] = []
    for partition in stores.living:
        async for flows in _awaiting(stores, partition, sent):
            fitting: list[str] = []
            typed = await _typed(stores, partition, flows)
            for flow in flows:
                faults = await _misfits(stores, partition, flow, sent) if flow in typed else []
                fault = fault or faults
                unfit += bool(faults)
                fitting += [] if faults else [flow]
            done = await signal(stores.redis, partition, sent, fitting, "first" if first else "each")
            taken += [one for one in done if one.word == "taken"]
            spent += [one.flow for one in done if one.word == "spent"]
            if first and any(one.word in ("taken", "known", "other") for one in done):
                return Delivered(taken, unfit + len(spent), not taken, tuple(spent)), fault
    return Delivered(taken, unfit + len(spent), spent=tuple(spent)), fault


def _named(flows: Sequence[str]) -> str:
    more = f" and {len(flows) - 3:,} more" if len(flows) > 3 else ""
    return f"{'flow' if len(flows) == 1 else 'flows'} {', '.join(flows[:3])}{more}"


def _spent(flows: Sequence[str]) -> RefusedError:
    return RefusedError(
        f"{_named(flows)} got {MOST_SIGNALS:,} signals, and no flow gets more: it remembers the id of"
        " each as long as it goes on, so that none counts twice. Send further ones to other flows: to child"
        " flows, or to rounds of one",
        "signals-used-up",
    )


async def _awaiting(stores: Stores, partition: Partition, sent: Sent) -> AsyncIterator[Sequence[str]]:
    """The flows in which a task awaits the signal now, in pages; the earliest first."""
    seen: set[str] = set()
    for key in dict.fromkeys((sent.key, "")):
        head = f"{escape(sent.name)} {escape(key)} ".encode()
        behind = b"[" + head
        while True:
            members: list[bytes] = await send(
                *(stores.redis, "ZRANGE", partition.keys.waits, behind, b"(" + head + b"~"),
                *("BYLEX", "LIMIT", 0, _PAGE),
            )
            flows = dict.fromkeys(member[len(head) :][:36].decode() for member in members)
            new = [flow for flow in flows if flow not in seen]
            seen.update(new)
            if new:
                yield new
            if len(members) < _PAGE:
                break
            behind = b"(" + members[-1]


async def _typed(stores: Stores, partition: Partition, flows: Sequence[str]) -> set[str]:
    """Those of the flows in which a task takes signals of a certain type only."""
    async with stores.redis.pipeline(transaction=False) as pipeline:
        for flow in flows:
            queue_command(pipeline, "HGET", partition.keys.flow(flow), _TYPED)
        found: list[bytes | None] = await pipeline.execute()
    return {flow for flow, tasks in zip(flows, found, strict=True) if tasks}


async def _misfits(stores: Stores, partition: Partition, flow: str, sent: Sent) -> list[ParameterFault]:
    """What is wrong with the payload for tasks of the flow that may take the signal."""
    tasks: bytes | None = await send(stores.redis, "HGET", partition.keys.flow(flow), _TYPED)
    if not tasks:
        return []
    numbers = [int(task) for task in dict.fromkeys(tasks.decode().split(","))]
    messages = await read_messages(stores.redis, partition, flow, numbers) or {}
    value: Any = msgspec.json.decode(sent.payload)
    faults: list[ParameterFault] = []
    for task, raw in messages.items():
        message = decode_message(raw)
        if takes_signal(message, sent.name, sent.key):
            found = faults_of_value(known_parameters(message).get("type", {}), value)
            whose = f"flow {flow}, task {task}, takes another payload"
            faults += [ParameterFault(f"{whose}: {said}", f"#/payload{place}") for place, said in found]
    return faults
