"""What can be done with hooks: set, looked at, taken away, tried; what they told, told again."""

import uuid

import msgspec

from flower_engine.errors import (
    HookError,
    ParameterFault,
    RefusedError,
    UnknownDeliveryError,
    UnknownHookError,
)
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.hooks.hook import Hook, problems
from flower_engine.hooks.notifications import encode_body, message_id
from flower_engine.model.values.near_names import nearest_in_words
from flower_engine.model.values.quoting import short
from flower_engine.projection.database import Connection
from flower_engine.projection.definitions.acting import act_as, note_act
from flower_engine.projection.hooks.deliveries import (
    Delivery,
    NewDelivery,
    Standing,
    add_deliveries,
    deliver_again,
    read_delivery,
    standings,
)
from flower_engine.projection.hooks.hook_rows import (
    MAX_HOOKS,
    HookRow,
    delete_hook,
    hook_names,
    other_hooks,
    put_hook,
    read_hook,
)

_LOCK = "SELECT pg_advisory_xact_lock('ms_hook'::regclass::oid::bigint << 16)"


class HookState(msgspec.Struct, frozen=True):
    """A hook, and how what it told of late stands."""

    row: HookRow
    standing: Standing


async def find_hook(connection: Connection, name: str) -> HookRow:
    """The hook of this name.

    Raises:
        UnknownHookError: there is none; names what is near.
    """
    row = await read_hook(connection, name)
    if row is None:
        near = nearest_in_words(name, await hook_names(connection))
        raise UnknownHookError(f"no hook is named {short(name)!r}{near}")
    return row


async def states_of(connection: Connection, rows: list[HookRow]) -> list[HookState]:
    """Each of these hooks with how its deliveries stand."""
    found = await standings(connection, [row.hook.name for row in rows])
    return [HookState(row, found.get(row.hook.name, Standing())) for row in rows]


async def set_hook(stores: PostgresStores, hook: Hook, by: str, *, keeps_pause: bool) -> bool:
    """Adds or replaces a hook; whether it is new. ``keeps_pause``: one that is paused stays so.

    Raises:
        HookError: it makes no sense; names all that is wrong.
        RefusedError: there are as many as may be.
    """
    found = problems(hook)
    if found:
        faults = [ParameterFault(f"{one.field}: {one.detail}", f"#/{one.field}") for one in found]
        raise HookError(hook.name, faults)
    async with stores.postgres() as connection, connection.transaction():
        await connection.execute(_LOCK)
        if await other_hooks(connection, hook.name) >= MAX_HOOKS:
            raise RefusedError(f"there are {MAX_HOOKS} hooks already, as many as are told", "too-many-hooks")
        known = await read_hook(connection, hook.name) if keeps_pause else None
        if known is not None:
            hook = msgspec.structs.replace(hook, is_paused=known.hook.is_paused, reason=known.hook.reason)
        await act_as(connection, by)
        return await put_hook(connection, hook, by)


async def remove_hook(stores: PostgresStores, name: str, by: str) -> None:
    """Takes a hook away; what it has not delivered yet is given up.

    Raises:
        UnknownHookError: there is none.
    """
    async with stores.postgres() as connection, connection.transaction():
        await act_as(connection, by)
        if not await delete_hook(connection, name):
            await find_hook(connection, name)


async def try_hook(stores: PostgresStores, name: str, by: str) -> Delivery:
    """Has a projector deliver something that says that it is a test.

    Raises:
        UnknownHookError: there is none.
        RefusedError: it tells nothing as it is.
    """
    number = message_id(str(uuid.uuid4()))
    async with stores.postgres() as connection, connection.transaction():
        row = await find_hook(connection, name)
        if row.problems:
            said = "; ".join(f"{one.field}: {one.detail}" for one in row.problems)
            raise RefusedError(f"hook {name!r} tells nothing: {said}", "problem")
        if row.hook.is_paused:
            raise RefusedError(f"hook {name!r} is paused; let it go on first", "paused")
        body = encode_body(name, number, "hook.test", stores.now_ms(), {"note": "somebody tries this hook"})
        await note_act(connection, by, "hook.tried", name=name, workflow=row.hook.workflow)
        await add_deliveries(connection, [NewDelivery(number, name, "hook.test", None, body)])
        found, _ = await find_delivery(connection, number)
    return found


async def find_delivery(connection: Connection, number: str) -> tuple[Delivery, str]:
    """A delivery with its body.

    Raises:
        UnknownDeliveryError: there is none.
    """
    found = await read_delivery(connection, number)
    if found is None:
        raise UnknownDeliveryError(f"there is no delivery {short(number)!r} (any more)")
    return found


async def tell_again(stores: PostgresStores, number: str, by: str) -> tuple[Delivery, str]:
    """Lets a delivery be made again, under its id, now, and for another day.

    Raises:
        UnknownDeliveryError: there is none.
        RefusedError: its hook is gone.
    """
    async with stores.postgres() as connection, connection.transaction():
        found, _ = await find_delivery(connection, number)
        hook = await read_hook(connection, found.hook)
        if hook is None:
            raise RefusedError(f"hook {found.hook!r} of delivery {number} is gone", "no-hook")
        said = {"delivery": number, "occasion": found.occasion}
        await note_act(
            connection, by, "hook.told_again", name=found.hook, workflow=hook.hook.workflow, details=said
        )
        await deliver_again(connection, number)
        return await find_delivery(connection, number)
