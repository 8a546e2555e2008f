"""The transition ``control``: a partition's flow control becomes what the table of flow control says."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from flower_engine.log.client import AsyncRedis, queue_command, send
from flower_engine.log.partition import Partition
from flower_engine.model.flow_control import STRIDE, FlowControl, Strike
from flower_engine.model.limits import (
    LimitValue,
    flows_value,
    limit_of,
    limit_of_flows,
    limit_per_key,
    strikes_of,
    weight_of,
)
from flower_engine.transitions.loader import Arg, Script

_control = Script("operator/control")
_encode = msgspec.json.Encoder().encode


class HeldControl(msgspec.Struct, frozen=True):
    """What holds in a partition: the hash ``limits``, and the token of whoever set it last ("": nobody)."""

    token: str
    limits: dict[str, str]


async def read_held(client: AsyncRedis, partition: Partition) -> HeldControl:
    """What holds in the partition; where somebody changes it between the two reads, the token tells."""
    async with client.pipeline(transaction=False) as pipe:
        queue_command(pipe, "HGET", partition.keys.meta, "control_token")
        queue_command(pipe, "HGETALL", partition.keys.limits)
        token, limits = await pipe.execute()
    return HeldControl(
        token.decode() if token else "",
        {name.decode(): value.decode() for name, value in limits.items()},
    )


async def read_token(client: AsyncRedis, partition: Partition) -> str:
    """Its token alone."""
    token: bytes | None = await send(client, "HGET", partition.keys.meta, "control_token")
    return token.decode() if token else ""


async def set_control(
    client: AsyncRedis,
    partition: Partition,
    *,
    partitions: int,
    held: HeldControl,
    controls: Iterable[FlowControl],
    strikes: Sequence[Strike] = (),
    must_sign: bool = False,
) -> list[str] | None:
    """Makes exactly these settings hold; returns the names that changed.

    ``held`` is what held BEFORE the settings were read from the table. None: somebody else has set others
    since, which may be newer than these; nothing was changed then. ``must_sign``: whoever read before is
    refused from now on even if nothing changed. Each partition gets its :func:`part_of_limit`.

    Raises:
        LostError: Redis lost its state.
    """
    wanted = limits_of(controls, strikes, partition.number, partitions)
    rest: list[Arg] = []
    for name in sorted(held.limits.keys() - wanted.keys()):
        rest += (name, "", _encode({"name": name}))
    for name, (value, settings) in wanted.items():
        by = settings.get("changed_by", "")
        rest += (name, value, _encode({"name": name, "settings": settings, "by": by}))
    args = _control.args(
        rest,
        generation=partition.generation,
        token=held.token,
        new_token=uuid.uuid4().hex,
        must_sign=int(must_sign),
    )
    reply = partition.check(await _control.run(client, partition.keys.meta, args))
    return None if reply[0] == b"moved" else [name.decode() for name in reply[1:]]


def limits_of(
    controls: Iterable[FlowControl], strikes: Iterable[Strike], partition: int, partitions: int
) -> dict[str, tuple[str, dict[str, Any]]]:
    """All that the hash ``limits`` of a partition should hold: name -> value, and the settings behind it."""
    wanted: dict[str, tuple[str, dict[str, Any]]] = {}
    for control in controls:
        settings = msgspec.to_builtins(control)
        for name, value in values_of(control, partition, partitions).items():
            wanted[name] = (value, settings)
    for name, value in _strikes_by_program(strikes).items():
        wanted[name] = (_encode(value).decode(), {"strikes": msgspec.to_builtins(value)})
    return wanted


def part_of_limit(limit: int, partition: int, partitions: int) -> int:
    """What a partition may use of a limit; at least 1, so that nothing waits for ever. Fewer than there are
    partitions cannot be had: the API refuses such a limit, and a row that says so is told
    (``model/flow_control.py``, ``problems_of_share``)."""
    return max(1, limit // partitions + (partition < limit % partitions))


def values_of(control: FlowControl, partition: int, partitions: int) -> dict[str, str]:
    """The fields of the hash ``limits`` that a row stands for, see ``lua/lib/limits.lua``."""

    def part(limit: int) -> int:
        return part_of_limit(limit, partition, partitions)

    scope, name = control.scope, control.name
    values: dict[str, str] = {}
    if control.max_running is not None or control.rate is not None or control.is_paused:
        values[limit_of(scope, name)] = LimitValue(
            most=None if control.max_running is None else part(control.max_running),
            rate=None if control.rate is None else part(control.rate),
            period_ms=None if control.rate is None else round(control.rate_period_seconds * 1000),
            is_paused=control.is_paused,
        ).text()
    if control.max_per_key is not None:
        values[limit_per_key(scope, name)] = str(part(control.max_per_key))
    if control.max_flows is not None:
        most_flows, choice = part(control.max_flows), control.at_max_flows
        value = flows_value(most_flows, choice, counts_suspended=control.count_suspended)
        values[limit_of_flows(name)] = value
    if control.weight is not None:
        values[weight_of(name)] = str(max(1, round(STRIDE / control.weight)))
    return values


def _strikes_by_program(strikes: Iterable[Strike]) -> Mapping[str, list[Strike]]:
    found: dict[str, list[Strike]] = {}
    for strike in strikes:
        found.setdefault(strikes_of(strike.program), []).append(strike)
    return found
