"""A Postgres that lost a part of the history for good, and the bridge: what tests of them share."""

from psycopg.sql import SQL, Identifier

from flower_engine.log.client import send
from flower_engine.model.folding.flow_state import FlowState
from flower_engine.projection.maintain.gaps import Gap
from flower_engine.projection.write.projected_positions import read_positions
from flower_engine.runtime.gap_bridge import bridge_gaps
from flower_engine.runtime.settings import Settings
from projection.rows import expected, held
from recovery.both import Both
from recovery.command import flower

TABLES = ("kr_event", "kr_flow_stat", "kr_task_stat", "kr_schedule", "kr_schedule_slot", "kr_projection")


async def back_up(both: Both) -> None:
    await both.project()
    for table in TABLES:
        names = Identifier("backup_" + table), Identifier(table)
        await both.connection.execute(SQL("CREATE TABLE {} AS TABLE {}").format(*names))


async def restore(both: Both, *, kept: int) -> None:
    """Postgres is as it was; of the projected log, ``kept`` entries are left."""
    await both.project()
    (row,) = await read_positions(both.connection)
    assert row.position is not None
    await send(both.client, "HSET", both.engine.keys.meta, "projected_to", row.position)
    await send(both.client, "XTRIM", both.engine.keys.log, "MAXLEN", kept)
    for table in TABLES:
        names = Identifier(table), Identifier("backup_" + table)
        await both.connection.execute(SQL("TRUNCATE {}").format(names[0]))
        await both.connection.execute(SQL("INSERT INTO {} TABLE {}").format(*names))


async def bridge(both: Both, settings: Settings) -> Gap:
    assert settings.database_url is not None
    (gap,) = await bridge_gaps(both.client, settings.database_url, lambda _what, _done, _total: None)
    return gap


async def agree(both: Both, settings: Settings) -> dict[str, FlowState]:
    """Redis, the archive and the tables say the same, and a replay says it, too."""
    flows = await both.check()
    assert await held(both.connection) == expected(await both.archived())
    code, text = await flower(settings, "verify", words=99)
    assert code == 0, text
    return flows
