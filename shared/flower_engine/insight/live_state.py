"""Reads a partition's whole live state at one moment, for comparison with the fold of its log."""

import re
from collections import ChainMap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from flower_engine.errors import RefusedError
from flower_engine.insight.common_fields import FIELD, Common, common_fields, common_with
from flower_engine.log.client import AsyncRedis
from flower_engine.log.partition import Partition
from flower_engine.model.invariants.partition_state import (
    Lease,
    LiveFlow,
    LiveSchedule,
    LiveSignal,
    LiveState,
    LiveTask,
    Waiting,
)
from flower_engine.model.maps.earlier_items import read_earlier
from flower_engine.model.tasks.status import Status
from flower_engine.model.values.key_parts import unescape
from flower_engine.transitions.loader import Script

MOST_FLOWS = 100_000
_NO_LEASE = "-"
_EMPTY = "0"  # as capture tells of a result that is kept no more
_capture = Script("operator/capture")


async def read_live_state(
    client: AsyncRedis, partition: Partition, most_flows: int = MOST_FLOWS
) -> LiveState:
    """Everything that the partition's keys say of flows, lanes and leases, and the position of that moment.

    Redis serves nobody else meanwhile: about 30 ms (2 cores) for every 1,000 flows of ten tasks.

    Raises:
        LostError: the partition is not at its generation any more.
        RefusedError: more flows than ``most_flows`` are under way.
    """
    args = _capture.args(generation=partition.generation, most_flows=most_flows)
    reply = await _capture.run(client, partition.keys.meta, args)
    partition.check(reply)
    if reply[0] == b"many":
        raise RefusedError(
            f"partition {partition.number} has {reply[1]:,} flows under way; comparing all of them would keep"
            f" Redis from its work for too long (at most {most_flows:,})",
            "too_many",
        )
    state = LiveState(
        position=reply[1].decode(),
        flows={},
        ended=set(),
        lanes={},
        shares={},
        ready={},
        leases={},
        timers={},
        releasing=set(),
        kept=int(reply[2]),
        decisions=int(reply[3]),
    )
    for index in range(4, len(reply), 3):
        kind, name = reply[index].decode(), reply[index + 1].decode()
        try:
            _add(state, kind, name, reply[index + 2])
        except (KeyError, ValueError, IndexError) as error:
            state.unreadable.append(f"key {kind}:{name} is not as Flower writes it ({error!r})")
    return state


def _add(state: LiveState, kind: str, name: str, content: list[Any]) -> None:  # noqa: PLR0912 # a case a kind
    match kind:
        case "flow":
            state.flows[name] = _flow(_texts(content))
        case "ended":
            state.ended.add(name)
        case "lane":
            scored = _scored(content).items()
            state.lanes[name] = [Waiting(*_member(member), score) for member, score in scored]
        case "share":
            state.shares[name] = _scored(content)
        case "ready":
            state.ready[name] = _scored(content)
        case "timers":
            state.timers.update(_scored(content))
        case "work":
            state.leases[unescape(name)] = _leases(*content)
        case "open":
            state.open[name] = _scored(content)
        case "reopen":
            state.reopen[name] = _scored(content)
        case "flows":
            state.places[name] = _scored(content)
        case "schedule":
            state.schedules[name] = _schedule(_texts(content))
        case "schedules":
            state.due.update(_scored(content))
        case "waits" | "decide" | "tree":
            getattr(state, kind).update(_scored(content))
        case "sflows":
            state.slots_under_way[name] = _scored(content)
        case "new":
            state.line[name] = _scored(content)
        case "inside" | "outside":
            getattr(state, kind)[name] = _scored(content)
        case "admitting":
            state.admitting.update(member.decode() for member in content)
        case "aside":
            state.aside.update(_texts(content))
        case "limits":
            state.limits.update(_texts(content))
        case "boards":
            for board, queues in _texts(content).items():
                state.boards[board] = set(queues.split(","))
        case "running":
            state.running.update((limit, int(units)) for limit, units in _texts(content).items())
        case "fanout":
            for note in content:
                flow, task, _ = note.decode().split(":")
                state.releasing.add((flow, int(task)))
        case _:
            raise AssertionError(f"capture.lua tells of {kind}, which is not known here")


def _flow(texts: dict[str, str]) -> LiveFlow:
    counters, flags = texts["c"].split(" ")[:4], texts["c"].split(" ")[4:]
    version, left, done, order = (int(part) for part in counters)
    kept = re.search("d([0-9]+)", "".join(flags))
    steps = re.search("i([0-9]+)[.]([0-9]+)[.]([0-9]+)", "".join(flags))
    counted = left + done  # behind these are fields of items that are not tasks yet
    common = common_fields(texts.get(FIELD, ""))
    return LiveFlow(
        version=version,
        left=left,
        done=done,
        order=order,
        flags="".join(flags),
        timeout_ms=int(texts.get("t", 0)),
        cleanup_ms=int(texts.get("T", 0)),
        tasks=[_task(_whole(texts, number, common), number) for number in range(1, counted + 1)],
        active=int(texts["a"]) if "a" in texts else None,
        steps=(int(steps[1]), int(steps[2])) if steps and int(steps[3]) == done else None,
        kept=int(kept[1]) if kept else None,
        of_schedule=texts.get("S", ""),
        of_parent=texts.get("P", ""),
        rounds=int(texts.get("N", 0)),
        again=texts.get("A", ""),
        signals=tuple(_signals(texts)),
        typed=frozenset(int(seq) for seq in texts.get("E", "").split(",") if seq),
        signal_ids=frozenset(name[1:] for name in texts if name[0] == "i"),
        signals_got=int(texts.get("I", 0)),
    )


def _signals(texts: dict[str, str]) -> Iterator[LiveSignal]:
    for line in texts.get("Q", "").split("\n")[1:]:
        if line:
            number, name, key = line.split(" ")
            identity = texts[f"q{number}"].partition("\n")[0]
            yield LiveSignal(name, key, msgspec.json.decode(identity))


def _schedule(texts: dict[str, str]) -> LiveSchedule:
    return LiveSchedule(
        version=int(texts.get("v", 0)),  # after a recovery, until a watcher has brought its definition
        cursor=int(texts["c"]),
        state=texts.get("st", ""),
        failures=int(texts.get("f", 0)),
        held=int(texts["h"]) if "h" in texts else None,
    )


def _whole(texts: dict[str, str], number: int, common: Sequence[Common]) -> Mapping[str, str]:
    """The fields of a flow with those that a task has in common with others."""
    one = common_with(number, common)
    if one is None:
        return texts
    own, kept = texts.get(f"u{number}"), texts.get(f"r{number}", "")
    if own is None:
        own = "0" if kept == _EMPTY else str(one.readers_of(number))
    if kept not in ("", _EMPTY) and " " not in own:  # a short result is counted by itself
        own = f"{own} {kept[1:]}"
    return ChainMap({f"u{number}": own}, texts, {f"l{number}": one.lane, f"d{number}": one.links_of(number)})


def _task(texts: Mapping[str, str], number: int) -> LiveTask:
    readers, _, kept_bytes = texts.get(f"u{number}", "0").partition(" ")
    kept = texts.get(f"r{number}", "")
    task = LiveTask(
        lane=texts[f"l{number}"],
        open=int(texts[f"o{number}"]) if f"o{number}" in texts else None,
        failures=int(texts.get(f"x{number}", 0)),
        round=int(texts.get(f"n{number}", "0").partition(" ")[0]),
        policy=texts.get(f"p{number}", ""),
        reads=texts.get(f"d{number}", "").partition("<")[2].removesuffix("!"),
        readers=int(readers),
        kept="" if kept == _EMPTY else kept,
        kept_bytes=int(kept_bytes or 0),
        wait=texts.get(f"w{number}", ""),
        votes=tuple(msgspec.json.decode(f"[{texts.get(f'v{number}', '')}]")),
        rules=texts.get(f"y{number}", ""),
        edges=texts.get(f"e{number}", ""),
        earlier=_earlier(texts.get(f"j{number}")),
    )
    if f"s{number}" not in texts:
        return task
    stands, attempt, lost, lease = texts[f"s{number}"].split(" ", 3)
    status = stands.rstrip("cnpuvwxtf")
    awaited = lease if lease.startswith("~") else ""
    due_ms = int(lease[1:]) if lease.startswith("@") else None
    return msgspec.structs.replace(
        task,
        status=Status(int(status)),
        kind=stands.removeprefix(status),
        attempt=int(attempt),
        lost=int(lost),
        lease="" if lease == _NO_LEASE or awaited or due_ms is not None else lease,
        due_ms=due_ms,
        awaited=awaited,
    )


def _earlier(text: str | None) -> tuple[int, ...] | None:
    return None if text is None else tuple(one.seq for one in read_earlier(text))


def _texts(content: Sequence[bytes]) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in zip(content[::2], content[1::2], strict=True)}


def _scored(content: Sequence[bytes]) -> dict[str, int]:
    return {
        member.decode(): int(float(score)) for member, score in zip(content[::2], content[1::2], strict=True)
    }


def _leases(entries: list[Any], pending: list[Any]) -> list[Lease]:
    workers: dict[bytes, bytes] = {item[0]: item[1] for item in pending}
    found: list[Lease] = []
    for entry, (_, member) in entries:
        worker = workers.pop(entry, None)
        flow, task = _member(member.decode())
        found.append(Lease(entry.decode(), flow, task, worker.decode() if worker else None))
    found += [Lease(entry.decode(), "", 0, worker.decode()) for entry, worker in workers.items()]
    return found


def _member(member: str) -> tuple[str, int]:
    return member[:36], int(member[37:])
