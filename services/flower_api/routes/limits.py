"""``/limits``: flow control as people set it."""

import contextlib
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

import msgspec
from fastapi import FastAPI, Path, Request
from pydantic import Field
from redis.exceptions import RedisError
from starlette.responses import Response

from flower_api.access import by_of
from flower_api.openapi import replies, reply
from flower_api.schemas import NAME_PATTERN, RequestBody, View
from flower_engine.errors import LostError
from flower_engine.flows.flow_control_changes import remove_control, set_control
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.flows.unknown_names import Names
from flower_engine.model.flow_control.flow_control import AtMaxFlows, FlowControl, Scope, problems_of_share
from flower_engine.model.flow_control.limits import lent_of
from flower_engine.projection.definitions.flow_control_rows import read_controls
from flower_engine.runtime.lending import shares_of
from flower_engine.transitions.lending_transition import Lendable

_PROBLEMS = (400, 413, 415, 422, 503)
ScopePath = Annotated[Literal["queue", "workflow", "program"], Path(description="What is limited.")]
NamePath = Annotated[
    str,
    Path(min_length=1, max_length=256, pattern=NAME_PATTERN, description="Its name; it may hold slashes."),
]
Parameter = Annotated[str, Field(min_length=1, max_length=256, pattern=NAME_PATTERN)]


class LimitBody(RequestBody):
    """All settings of one scope and name; what is absent or null is not limited."""

    max_running: int | None = Field(None, description="units of tasks that run at once")
    limit_by: Parameter | None = Field(None, description="the parameter whose values are limited")
    max_per_key: int | None = Field(None, description="units at once for each value of limitBy")
    max_flows: int | None = Field(None, description="flows under way at once")
    at_max_flows: AtMaxFlows = Field("queue", description="what happens beyond maxFlows")
    count_suspended: bool = Field(False, description="whether flows that cannot go on keep their place")
    rate: int | None = Field(None, description="starts of tasks in any period")
    rate_period_seconds: float = 1.0
    fair_by: Parameter | None = Field(None, description="the parameter whose values take turns")
    weight: float | None = Field(None, description="share of the turns; 1 where absent")
    is_paused: bool = Field(False, description="nothing starts; what runs may end")
    reason: Annotated[str, Field(max_length=1_000, pattern=NAME_PATTERN)] | None = None


class LimitView(View, omit_defaults=True):
    """What is set for one scope and name; ``problem``: why it does not hold as it stands. ``shares``: where
    there are several partitions, what each may use now of ``maxRunning``, ``rate`` and ``maxFlows``, by its
    number, as far as it answers; all together at most the limit, lent by demand."""

    scope: Scope
    name: str
    max_running: int | None
    limit_by: str | None
    max_per_key: int | None
    max_flows: int | None
    at_max_flows: AtMaxFlows
    count_suspended: bool
    rate: int | None
    rate_period_seconds: float
    fair_by: str | None
    weight: float | None
    is_paused: bool
    reason: str
    changed_by: str
    problem: str = ""
    shares: dict[str, dict[int, int]] = msgspec.field(default_factory=dict[str, dict[int, int]])

    @classmethod
    def of(
        cls,
        control: FlowControl,
        partitions: int,
        shares: Mapping[Lendable, dict[int, int]] | None = None,
        pin: str | None = None,
    ) -> Self:
        return cls(
            **{field: getattr(control, field) for field in FlowControl.__struct_fields__},
            problem="; ".join(problems_of_share(control, partitions, pin)),
            shares={
                _field_of(found): shares[found]
                for limit, wholes in lent_of(control).items()
                for which in wholes
                if shares and (found := Lendable(limit, which)) in shares
            }
            if shares
            else {},
        )


def _field_of(limit: Lendable) -> str:
    if limit.which == 2:  # the second number of a limit's value
        return "rate"
    return "maxFlows" if limit.name.startswith("f:") else "maxRunning"


class LimitSetView(LimitView, omit_defaults=True):
    """The same right after it was set. ``warnings``: nobody knows of what it is about (yet)."""

    warnings: list[str] = msgspec.field(default_factory=list)


class UnreadableLimit(View):
    """A row, written with SQL, that cannot be used as it stands: nothing of it holds."""

    scope: str
    name: str
    problem: str


class LimitsView(View, omit_defaults=True):
    """Everything that is set, by scope and name; and rows that cannot be used."""

    limits: list[LimitView]
    unreadable: list[UnreadableLimit] = msgspec.field(default_factory=list)


def add_limits(app: FastAPI, stores: PostgresStores) -> None:
    """Adds the routes that show and change flow control."""

    @app.get(
        "/limits",
        summary="List limits, rates, weights and pauses",
        responses=replies({200: (LimitsView, "All that is set")}, problems=(503,)),
    )
    async def get_limits() -> Response:
        async with stores.postgres() as connection:
            controls = await read_controls(connection)
        partitions = stores.partition_count
        shares: dict[Lendable, dict[int, int]] = {}
        if partitions > 1:
            with contextlib.suppress(RedisError, OSError, LostError):  # what is set is shown all the same
                shares = await shares_of(stores.redis, stores.living, partitions, controls.rows)
        unreadable = [
            UnreadableLimit(scope=row.name[0], name=row.name[1], problem=row.problem)
            for row in controls.unreadable
        ]
        limits = [LimitView.of(row, partitions, shares, controls.pin(row)) for row in controls.rows]
        return reply(LimitsView(limits, unreadable))

    @app.put(
        "/limits/global",
        summary="Limit or pause everything",
        responses=replies({200: (LimitSetView, "It holds")}, problems=_PROBLEMS),
    )
    async def put_global(request: Request, body: LimitBody) -> Response:
        """Replaces what is set for everything; it holds when the answer comes."""
        return await _put(stores, "global", "", body, by_of(request))

    @app.put(
        "/limits/{scope}/{name:rest}",
        summary="Limit or pause a queue, workflow or program",
        responses=replies({200: (LimitSetView, "It holds")}, problems=_PROBLEMS),
    )
    async def put(scope: ScopePath, name: NamePath, request: Request, body: LimitBody) -> Response:
        """Replaces all its settings; they hold when the answer comes. limitBy and fairBy are for flows that
        are registered from then on."""
        return await _put(stores, scope, name, body, by_of(request))

    @app.delete(
        "/limits/global",
        summary="Take back what is set for everything",
        status_code=204,
        responses=replies({}, problems=(404, 503)),
    )
    async def delete_global(request: Request) -> Response:
        return await _delete(stores, "global", "", by_of(request))

    @app.delete(
        "/limits/{scope}/{name:rest}",
        summary="Take back what is set for a queue, workflow or program",
        status_code=204,
        responses=replies({}, problems=(404, 422, 503)),
    )
    async def delete(scope: ScopePath, name: NamePath, request: Request) -> Response:
        return await _delete(stores, scope, name, by_of(request))


async def _put(stores: PostgresStores, scope: Scope, name: str, body: LimitBody, by: str) -> Response:
    given: dict[str, Any] = {**body.model_dump(), "reason": body.reason or ""}
    control = FlowControl(scope=scope, name=name, changed_by=by, **given)
    await set_control(stores, control)
    set_now = LimitSetView.of(control, 1)
    set_now.warnings = await Names(stores).of_scope(scope, name)
    return reply(set_now)


async def _delete(stores: PostgresStores, scope: Scope, name: str, by: str) -> Response:
    await remove_control(stores, scope, name, by)
    return Response(status_code=204)
