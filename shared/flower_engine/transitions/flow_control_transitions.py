"""The transition ``control``: a partition's flow control becomes what the table of flow control says."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from flower_engine.log.client import AsyncRedis, queue_command, send
from flower_engine.log.partition import Partition
from flower_engine.model.flow_control.flow_control import STRIDE, FlowControl, Strike, counted_in_one_place
from flower_engine.model.flow_control.limits import (
    LimitValue,
    flows_value,
    is_whole_of,
    lent_of,
    limit_of,
    limit_of_flows,
    limit_per_key,
    number_of,
    strikes_of,
    weight_of,
    whole_of,
    wholes_text,
)
from flower_engine.model.partitions.limit_shares import first_share
from flower_engine.transitions.loader import Arg, Script

_control = Script("operator/control")
_encode = msgspec.json.Encoder().encode
_NO_PINS: Mapping[str, str] = {}


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
    pins: Mapping[str, str] = _NO_PINS,
    must_sign: bool = False,
    others: Sequence[Mapping[str, str]] = (),
    rank: int | None = None,
) -> list[str] | None:
    """Makes exactly these settings hold; returns the names that changed.

    ``held`` is what held BEFORE the settings were read from the table. None: somebody else has set others
    since, which may be newer than these; nothing was changed then. ``must_sign``: whoever read before is
    refused from now on even if nothing changed. Each partition gets its share of each limit, or keeps the one
    that it has; ``others``: what the other partitions hold; ``rank``: how many come before it (default: as
    many as its number says).

    Raises:
        LostError: Redis lost its state.
    """
    shares = Shares(partition.number if rank is None else rank, partitions, held.limits, others)
    wanted = limits_of(controls, strikes, shares, pins)
    rest: list[Arg] = []
    for name in sorted(held.limits.keys() - wanted.keys()):
        rest += (name, "", b"" if is_whole_of(name) else _encode({"name": name}))
    for name, (value, settings) in wanted.items():
        by = settings.get("changed_by", "")
        told = b"" if is_whole_of(name) else _encode({"name": name, "settings": settings, "by": by})
        rest += (name, value, told)
    args = _control.args(
        rest,
        generation=partition.generation,
        token=held.token,
        new_token=uuid.uuid4().hex,
        must_sign=int(must_sign),
    )
    reply = partition.check(await _control.run(client, partition.keys.meta, args))
    if reply[0] == b"moved":
        return None
    return [name for name in (one.decode() for one in reply[1:]) if not is_whole_of(name)]


class Shares(msgspec.Struct, frozen=True):
    """What a partition has of limits that are shared by ``partitions``, ``rank`` of which come before it: it
    keeps what it ``held``, as control lends by demand. Of a limit that ``others`` hold already it has nothing
    until it is lent some."""

    rank: int = 0
    partitions: int = 1
    held: Mapping[str, str] = {}
    others: Sequence[Mapping[str, str]] = ()
    is_empty: bool = False
    """It lost what it had, and others may have been lent that: it begins with nothing."""

    def of(self, name: str, which: int, whole: int) -> int:
        """Its share of a limit: of the number at place ``which`` of the limit's value."""
        if self.partitions == 1:
            return whole
        if (share := _held_of(self.held, name, which, whole)) is not None:
            return share
        if self.is_empty or any(_held_of(one, name, which, whole) is not None for one in self.others):
            return 0
        return first_share(whole, self.rank, self.partitions)

    def equal(self, whole: int) -> int:
        """The same of what nobody lends."""
        return part_of_limit(whole, self.rank, self.partitions)


def _held_of(held: Mapping[str, str], name: str, which: int, whole: int) -> int | None:
    """The share that is held of so much; None: none."""
    share = number_of(held.get(name, ""), which)
    wholes = held.get(whole_of(name))
    known = share if wholes is None else number_of(wholes, which)
    return share if known == whole else None


def limits_of(
    controls: Iterable[FlowControl],
    strikes: Iterable[Strike],
    shares: Shares,
    pins: Mapping[str, str] = _NO_PINS,
) -> dict[str, tuple[str, dict[str, Any]]]:
    """All that the hash ``limits`` of a partition should hold: name -> value, and the settings behind it."""
    wanted: dict[str, tuple[str, dict[str, Any]]] = {}
    for control in controls:
        settings = msgspec.to_builtins(control)
        pin = pins.get(control.name) if control.scope == "workflow" else None
        for name, value in values_of(control, shares, pin).items():
            wanted[name] = (value, settings)
    for name, value in _strikes_by_program(strikes).items():
        wanted[name] = (_encode(value).decode(), {"strikes": msgspec.to_builtins(value)})
    return wanted


def part_of_limit(limit: int, partition: int, partitions: int) -> int:
    """What a partition may use of a limit that is not lent; at least 1, so that nothing waits for ever. Fewer
    than there are partitions cannot be had: the API refuses such a limit, and a row that says so is told
    (``model/flow_control/flow_control.py``, ``problems_of_share``)."""
    return max(1, limit // partitions + (partition < limit % partitions))


def values_of(
    control: FlowControl,
    shares: Shares = Shares(),  # noqa: B008 # it is frozen
    pin: str | None = None,
) -> dict[str, str]:
    """The fields of the hash ``limits`` that a row stands for, see ``lua/lib/limits.lua``. ``pin``: of its
    workflow; what is counted in one place is whole there, and so in each, as any may be it."""
    scope, name = control.scope, control.name
    whole = counted_in_one_place(control, pin)
    values: dict[str, str] = {}
    if control.max_running is not None or control.rate is not None or control.is_paused:
        limit, most, rate = limit_of(scope, name), control.max_running, control.rate
        values[limit] = LimitValue(
            most=None if most is None else shares.of(limit, 1, most),
            rate=None if rate is None else shares.of(limit, 2, rate),
            period_ms=None if rate is None else round(control.rate_period_seconds * 1000),
            is_paused=control.is_paused,
        ).text()
    if control.max_per_key is not None:
        values[limit_per_key(scope, name)] = str(
            control.max_per_key if "max_per_key" in whole else shares.equal(control.max_per_key)
        )
    if control.max_flows is not None:
        limit, choice, most = limit_of_flows(name), control.at_max_flows, control.max_flows
        if choice == "queue":
            share = shares.of(limit, 1, most)
        else:
            share = most if "max_flows" in whole else shares.equal(most)
        values[limit] = flows_value(share, choice, counts_suspended=control.count_suspended)
    if shares.partitions > 1:
        for limit, wholes in lent_of(control).items():
            values[whole_of(limit)] = wholes_text(wholes)
    if control.weight is not None:
        values[weight_of(name)] = str(max(1, round(STRIDE / control.weight)))
    return values


def _strikes_by_program(strikes: Iterable[Strike]) -> Mapping[str, list[Strike]]:
    found: dict[str, list[Strike]] = {}
    for strike in strikes:
        found.setdefault(strikes_of(strike.program), []).append(strike)
    return found
