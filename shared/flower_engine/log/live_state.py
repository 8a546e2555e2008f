"""Reads a partition's whole live state, for comparison with the fold of its log.

It scans the keys, so the result is exact only while no transition runs; tests and verification use it.
"""

from typing import Any

import msgspec

from flower_engine.log.client import AsyncRedis, send
from flower_engine.log.keys import GROUP, unescape
from flower_engine.log.partition import Partition
from flower_engine.model.live import Lease, LiveFlow, LiveState, LiveTask, Waiting
from flower_engine.model.status import Status

_NO_LEASE = "-"


async def read_live_state(  # noqa: PLR0912 # one case for each kind of key
    client: AsyncRedis, partition: Partition
) -> LiveState:
    """Everything that the partition's keys say of flows, lanes and leases."""
    state = LiveState(
        flows={}, ended=set(), lanes={}, shares={}, ready={}, leases={}, timers={}, releasing=set()
    )
    prefix = partition.keys.meta.removesuffix("meta")
    for key in await _scan(client, prefix):
        kind, _, name = key.removeprefix(prefix).partition(":")
        match kind:
            case "flow":
                state.flows[name] = _flow(await send(client, "HGETALL", key))
            case "ended":
                state.ended.add(name)
            case "lane":
                scored = await _scored(client, key)
                state.lanes[name] = [Waiting(*_member(member), score) for member, score in scored.items()]
            case "share":
                state.shares[name] = await _scored(client, key)
            case "ready":
                state.ready[name] = await _scored(client, key)
            case "timers":
                state.timers.update(await _scored(client, key))
            case "work":
                state.leases[unescape(name)] = await _leases(client, key)
            case "open":
                state.open[name] = await _scored(client, key)
            case "reopen":
                state.reopen[name] = await _scored(client, key)
            case "flows":
                state.places[name] = await _scored(client, key)
            case "new":
                state.line[name] = await _scored(client, key)
            case "admitting":
                state.admitting.update(name.decode() for name in await send(client, "SMEMBERS", key))
            case "aside":
                state.aside.update(await _texts(client, key))
            case "limits":
                state.limits.update(await _texts(client, key))
            case "boards":
                for board, queues in (await _texts(client, key)).items():
                    state.boards[board] = set(queues.split(","))
            case "running":
                for limit, units in (await _texts(client, key)).items():
                    state.running[limit] = int(units)
            case "fanout":
                notes: list[bytes] = await send(client, "LRANGE", key, 0, -1)
                for note in notes:
                    flow, task, _ = note.decode().split(":")
                    state.releasing.add((flow, int(task)))
            case _:
                pass
    return state


async def _scan(client: AsyncRedis, prefix: str) -> list[str]:
    cursor, keys = 0, set[bytes]()
    while True:
        cursor, found = await send(client, "SCAN", cursor, "MATCH", prefix + "*", "COUNT", 1_000)
        keys.update(found)
        if cursor == 0:
            return sorted(key.decode() for key in keys)


def _flow(fields: dict[bytes, bytes]) -> LiveFlow:
    texts = {name.decode(): value.decode() for name, value in fields.items()}
    counters, flags = texts["c"].split(" ")[:4], texts["c"].split(" ")[4:]
    version, left, done, order = (int(part) for part in counters)
    numbers = sorted(int(name[1:]) for name in texts if name[0] == "l")
    return LiveFlow(
        version=version,
        left=left,
        done=done,
        order=order,
        flags="".join(flags),
        timeout_ms=int(texts.get("t", 0)),
        tasks=[_task(texts, number) for number in numbers],
        active=int(texts["a"]) if "a" in texts else None,
    )


def _task(texts: dict[str, str], number: int) -> LiveTask:
    task = LiveTask(
        lane=texts[f"l{number}"],
        open=int(texts[f"o{number}"]) if f"o{number}" in texts else None,
        failures=int(texts.get(f"x{number}", 0)),
        policy=texts.get(f"p{number}", ""),
    )
    if f"s{number}" not in texts:
        return task
    status, attempt, lost, lease = texts[f"s{number}"].split(" ")
    due_ms = int(lease[1:]) if lease.startswith("@") else None
    return msgspec.structs.replace(
        task,
        status=Status(int(status)),
        attempt=int(attempt),
        lost=int(lost),
        lease="" if lease == _NO_LEASE or due_ms is not None else lease,
        due_ms=due_ms,
    )


async def _texts(client: AsyncRedis, key: str) -> dict[str, str]:
    found: dict[bytes, bytes] = await send(client, "HGETALL", key)
    return {name.decode(): value.decode() for name, value in found.items()}


async def _scored(client: AsyncRedis, key: str) -> dict[str, int]:
    flat: list[Any] = await send(client, "ZRANGE", key, 0, -1, "WITHSCORES")
    return {member.decode(): int(float(score)) for member, score in zip(flat[::2], flat[1::2], strict=True)}


async def _leases(client: AsyncRedis, key: str) -> list[Lease]:
    entries: list[Any] = await send(client, "XRANGE", key, "-", "+")
    groups: list[Any] = await send(client, "XINFO GROUPS", key)
    pending: dict[bytes, bytes] = {}
    if groups:
        items: list[Any] = list(await client.xpending_range(key, GROUP, "-", "+", 1_000_000))
        for item in items:
            pending[item["message_id"]] = item["consumer"]
    found: list[Lease] = []
    for entry, fields in entries:
        worker = pending.pop(entry, None)
        flow, task = _member(fields[b"t"].decode())
        found.append(Lease(entry.decode(), flow, task, worker.decode() if worker else None))
    found += [Lease(entry.decode(), "", 0, worker.decode()) for entry, worker in pending.items()]
    return found


def _member(member: str) -> tuple[str, int]:
    return member[:36], int(member[37:])
