"""The loop that works off backfills, and those that somebody made with SQL."""

from api.conftest import own_api, start_api
from api.serving import RunningApi
from api.test_backfills import at, shown, stores, work_off
from flower_engine.flows.postgres_stores import PostgresStores
from flower_watcher.backfills import BackfillLoop

__all__ = ["own_api", "start_api", "stores"]


async def test_one_that_sql_made_is_worked_off_or_says_what_is_wrong(
    own_api: RunningApi, stores: PostgresStores
) -> None:
    insert = (
        "INSERT INTO ms_backfill (schedule, first_slot, last_slot{}) VALUES (%s, %s, %s{}) RETURNING id::text"
    )
    ((right,),) = own_api.sql(insert.format("", ""), "hourly", at(0), at(1))
    ((wrong,),) = own_api.sql(insert.format(", which", ", 'some'"), "hourly", at(0), at(1))
    ((gone,),) = own_api.sql(insert.format("", ""), "nobody", at(0), at(1))
    loop = BackfillLoop(own_api.settings)
    for _ in range(3):
        await loop.run_once(stores, [right, wrong, gone])
        await work_off(own_api)
    await loop.run_once(stores, [right, wrong, gone])
    assert shown(own_api, right)["state"] == "finished"
    assert (shown(own_api, wrong)["state"], "which" in shown(own_api, wrong)["problem"]) == ("problem", True)
    assert "nobody" in shown(own_api, gone)["problem"]
