"""``/strikes``: orders to pass over every task of a program with a certain value of a parameter."""

import uuid
from typing import Annotated, Self

import msgspec
from fastapi import FastAPI, Path, Request
from pydantic import BeforeValidator, Field
from starlette.responses import Response

from flower_api.access import by_of
from flower_api.openapi import replies, reply
from flower_api.schemas import NAME_PATTERN, Reason, RequestBody, View
from flower_engine.flows.flow_control_changes import lift_strike, strike
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.flows.unknown_names import Names
from flower_engine.model.flow_control.flow_control import MAX_EXACT, Strike
from flower_engine.model.tasks.task_spec import MAX_NAME_LENGTH
from flower_engine.projection.definitions.flow_control_rows import read_strikes

_LARGE = 1.7e308
"""Before the largest float there is: Postgres keeps decimals, and refuses what might be none as a double."""


def _no_int(value: object) -> object:
    """A whole number is not made a float; one that is too large is refused."""
    if isinstance(value, int):
        raise ValueError(f"a whole number must be within {-MAX_EXACT}..{MAX_EXACT}")
    return value


Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME_LENGTH, pattern=NAME_PATTERN)]
Value = (
    Annotated[str, Field(max_length=10_000, pattern=NAME_PATTERN)]
    | Annotated[bool, Field(strict=True)]
    | Annotated[int, Field(strict=True, ge=-MAX_EXACT, le=MAX_EXACT)]
    | Annotated[
        float, Field(strict=True, gt=-_LARGE, lt=_LARGE, allow_inf_nan=False), BeforeValidator(_no_int)
    ]
)


class StrikeBody(RequestBody):
    """What is passed over: tasks of this program whose parameter has exactly this value."""

    program: Name
    parameter: Annotated[str, Field(min_length=1, max_length=1_024, pattern=NAME_PATTERN)]
    value: Value = Field(description="text, a number, true or false; the text 1 is not the number 1")
    reason: Reason = ""


class StrikeView(View):
    """A strike that holds."""

    id: str
    program: str
    parameter: str
    value: str | int | float | bool
    reason: str
    by: str

    @classmethod
    def of(cls, strike: Strike) -> Self:
        return cls(strike.id, strike.program, strike.parameter, strike.value, strike.reason, strike.by)


class StrikeMadeView(StrikeView, omit_defaults=True):
    """The same right after it was made. ``warnings``: nobody knows of the program or parameter (yet)."""

    warnings: list[str] = msgspec.field(default_factory=list)


class UnreadableStrike(View):
    """A row, written with SQL, that cannot be used as it stands: nothing is struck by it."""

    id: str
    program: str
    parameter: str
    problem: str


class StrikesView(View, omit_defaults=True):
    """Every strike that holds, oldest first; and rows that cannot be used."""

    strikes: list[StrikeView]
    unreadable: list[UnreadableStrike] = msgspec.field(default_factory=list)


def add_strikes(app: FastAPI, stores: PostgresStores) -> None:
    """Adds the routes that show, set and lift strikes."""

    @app.get(
        "/strikes",
        summary="List strikes",
        responses=replies({200: (StrikesView, "All that hold")}, problems=(503,)),
    )
    async def get_strikes() -> Response:
        async with stores.postgres() as connection:
            found = await read_strikes(connection)
        unreadable = [
            UnreadableStrike(id=row.name[0], program=row.name[1], parameter=row.name[2], problem=row.problem)
            for row in found.unreadable
        ]
        return reply(StrikesView([StrikeView.of(strike) for strike in found.rows], unreadable))

    @app.post(
        "/strikes",
        summary="Pass over every task of a program with a value of a parameter",
        status_code=201,
        responses=replies({201: (StrikeMadeView, "It holds")}, problems=(400, 409, 422, 503)),
    )
    async def post(request: Request, body: StrikeBody) -> Response:
        """Nothing that matches starts any more when the answer comes; what waits already becomes Ignore soon
        after, in steps. What depends on a task that is passed over goes on."""
        made = Strike(
            id=uuid.uuid4().hex[:12],
            program=body.program,
            parameter=body.parameter,
            value=body.value,
            by=by_of(request),
            reason=body.reason,
        )
        await strike(stores, made)
        view = StrikeMadeView.of(made)
        view.warnings = await Names(stores).of_strike(made.program, made.parameter)
        return reply(view, 201)

    @app.delete(
        "/strikes/{strike_id:rest}",
        summary="Lift a strike",
        status_code=204,
        responses=replies({}, problems=(404, 422, 503)),
    )
    async def delete(
        strike_id: Annotated[str, Path(min_length=1, max_length=64, pattern=NAME_PATTERN)],
        request: Request,
    ) -> Response:
        """What was passed over stays so (see unignore); nothing more is."""
        await lift_strike(stores, strike_id, by_of(request))
        return Response(status_code=204)
