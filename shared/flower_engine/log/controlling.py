"""The transition ``control``: a partition's flow control becomes what the table of flow control says."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from flower_engine.log.client import AsyncRedis, send
from flower_engine.log.keys import escape
from flower_engine.log.partition import Partition
from flower_engine.log.scripts import Arg, Script
from flower_engine.model.control import STRIDE, FlowControl, Strike

_control = Script("control")
_encode = msgspec.json.Encoder().encode
_LETTER = {"global": "g", "queue": "q", "workflow": "w", "program": "p"}


async def set_control(
    client: AsyncRedis,
    partition: Partition,
    *,
    partitions: int,
    version: int,
    controls: Iterable[FlowControl],
    strikes: Sequence[Strike] = (),
) -> list[str]:
    """Makes exactly these settings hold; returns the names that changed (none: a later version holds).

    ``version`` rises with each change of the table. Limits are split over the partitions, see
    :func:`share_of`.

    Raises:
        LostError: Redis lost its state.
    """
    wanted = limits_of(controls, strikes, partition.number, partitions)
    known: list[bytes] = await send(client, "HKEYS", partition.keys.limits)
    args: list[Arg] = [partition.generation, version]
    for name in sorted({raw.decode() for raw in known} - wanted.keys()):
        args += (name, "", _encode({"name": name}))
    for name, (value, settings) in wanted.items():
        by = settings.get("changed_by", "")
        args += (name, value, _encode({"name": name, "settings": settings, "by": by}))
    reply = partition.check(await _control.run(client, partition.keys.meta, args))
    return [name.decode() for name in reply[1:]] if reply[0] == b"ok" else []


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


def share_of(limit: int, partition: int, partitions: int) -> int:
    """What a partition may use of a limit; at least 1, so that nothing waits for ever: fewer than there are
    partitions cannot be had."""
    return max(1, limit // partitions + (partition < limit % partitions))


def values_of(control: FlowControl, partition: int, partitions: int) -> dict[str, str]:
    """The fields of the hash ``limits`` that a row stands for, see ``lua/_limits.lua``."""

    def share(limit: int) -> int:
        return share_of(limit, partition, partitions)

    name = escape(control.name)
    letter = _LETTER[control.scope]
    own = letter if letter == "g" else f"{letter}:{name}"
    values: dict[str, str] = {}
    if control.max_running is not None or control.rate is not None or control.is_paused:
        most = "-" if control.max_running is None else str(share(control.max_running))
        rate = "-" if control.rate is None else str(share(control.rate))
        period = "-" if control.rate is None else str(round(control.rate_period_seconds * 1000))
        values[own] = f"{most} {rate} {period} {int(control.is_paused)}"
    if control.max_per_key is not None:
        values[f"{letter}k:{name}"] = str(share(control.max_per_key))
    if control.max_flows is not None:
        choice = f"{control.at_max_flows} {int(control.count_suspended)}"
        values[f"f:{name}"] = f"{share(control.max_flows)} {choice}"
    if control.weight is not None:
        values[f"v:{name}"] = str(max(1, round(STRIDE / control.weight)))
    return values


def _strikes_by_program(strikes: Iterable[Strike]) -> Mapping[str, list[Strike]]:
    found: dict[str, list[Strike]] = {}
    for strike in strikes:
        found.setdefault(f"x:{escape(strike.program)}", []).append(strike)
    return found
