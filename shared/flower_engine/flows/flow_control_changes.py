"""Changes of flow control: in the tables and in Redis, or in neither."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from psycopg.errors import LockNotAvailable

from flower_engine.errors import (
    FlowControlError,
    LostError,
    StoreUnavailableError,
    TooManyStrikesError,
    UnknownControlError,
    UnknownStrikeError,
)
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.model.flow_control.flow_control import (
    FlowControl,
    Scope,
    Strike,
    problems_of,
    problems_of_share,
)
from flower_engine.model.values.near_names import nearest_in_words
from flower_engine.model.values.quoting import short
from flower_engine.projection.database import Connection
from flower_engine.projection.definitions.acting import act_as
from flower_engine.projection.definitions.flow_control_rows import (
    delete_control,
    delete_strike,
    lock_controls,
    put_control,
    put_strike,
    read_controls,
    read_pin,
    read_strikes,
)
from flower_engine.runtime.flow_control_sync import bring_control

_MOST_STRIKES = 1_000  # each costs every start of a task of its program a comparison


async def set_control(stores: PostgresStores, control: FlowControl) -> None:
    """Replaces all settings of a scope and name; they hold when this returns.

    Raises:
        FlowControlError: they do not fit.
        StoreUnavailableError, psycopg.Error, RedisError, LostError: nothing was changed.
    """
    if problems := problems_of(control):
        raise FlowControlError(problems)
    async with _changing_control(stores, control.changed_by) as connection:
        pin = await read_pin(connection, control)
        if problems := problems_of_share(control, len(stores.partitions), pin):
            raise FlowControlError(problems)
        await put_control(connection, control)


async def remove_control(stores: PostgresStores, scope: Scope, name: str, by: str) -> None:
    """Takes back all that is set for a scope and name; raises as :func:`set_control` does.

    Raises:
        UnknownControlError: nothing is set; names what is near.
    """
    async with _changing_control(stores, by) as connection:
        if not await delete_control(connection, scope, name):
            others = [row.name for row in (await read_controls(connection)).rows if row.scope == scope]
            what = f"{scope} {short(name)!r}" if name else scope
            raise UnknownControlError(f"nothing is set for {what}{nearest_in_words(name, others)}")


async def strike(stores: PostgresStores, order: Strike) -> None:
    """Passes over every task that the strike means, from now on; raises as :func:`set_control` does.

    Raises:
        TooManyStrikesError: as many hold as may be.
    """
    async with _changing_control(stores, order.by) as connection:
        if len((await read_strikes(connection)).rows) >= _MOST_STRIKES:
            raise TooManyStrikesError(_MOST_STRIKES)
        await put_strike(connection, order)


async def lift_strike(stores: PostgresStores, strike_id: str, by: str) -> None:
    """What was passed over stays so, nothing more is; raises as :func:`set_control` does.

    Raises:
        UnknownStrikeError: there is no such strike.
    """
    async with _changing_control(stores, by) as connection:
        if not await delete_strike(connection, strike_id):
            raise UnknownStrikeError(f"no strike has the id {strike_id!r}")


@asynccontextmanager
async def _changing_control(stores: PostgresStores, by: str) -> AsyncGenerator[Connection]:
    """A transaction on the tables of flow control, in somebody's name.

    What they say at its end holds in every partition before it is committed; where Redis cannot take it
    nothing is stored. (Should the commit fail after that, the watcher brings back what the tables say.)

    Raises:
        StoreUnavailableError, psycopg.Error, RedisError, LostError: nothing was changed.
    """
    partitions = stores.living  # a watcher brings it to those that are away
    if stores.lost is not None:
        raise LostError(stores.lost)
    async with stores.postgres() as connection, connection.transaction():
        try:
            await lock_controls(connection)
        except LockNotAvailable:
            raise StoreUnavailableError(
                "Postgres", "another transaction keeps the tables of flow control locked; end it, or wait"
            ) from None
        await act_as(connection, by)
        yield connection
        await bring_control(stores.redis, connection, partitions, must_sign=True)
    stores.plans.forget_all()
