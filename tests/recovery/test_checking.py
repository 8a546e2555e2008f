"""Redis is compared with its events at one position, and put right from them."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from flower_engine.errors import RefusedError
from flower_engine.insight.live_state import read_live_state
from flower_engine.log.client import send
from flower_engine.model.flow_control.flow_control import FlowControl
from flower_engine.projection.write.projected_positions import Projected, read_positions
from flower_engine.runtime.loss_recovery import rebuild
from flower_engine.runtime.settings import Settings
from flower_engine.runtime.settings_loading import load_settings
from flower_engine.runtime.verify_redis import Checked, check_redis
from flower_engine.transitions.worker_transitions import Claim
from recovery.both import Both
from recovery.command import flower
from scripts.engine import chain, fan, task

PREFIX = "{{flower:0}}:"


async def _row(both: Both) -> Projected:
    (row,) = await read_positions(both.connection)
    return row


async def _check(both: Both) -> Checked:
    return await check_redis(both.client, both.other, await _row(both), lambda _what, _done, _total: None)


async def _stories(both: Both) -> dict[str, str]:
    """Flows that wait, run, failed, ended; half of what happened is projected."""
    engine = both.engine
    await engine.control(FlowControl(scope="program", name="limited", max_running=2))
    ended = await engine.register(task(1))
    await engine.work_off()
    running = await engine.register(*chain(3), workflow="running")
    limited = await engine.register_many(3, task(1, program="limited"), workflow="limited")
    await engine.claim(100)
    await both.project()
    waiting = await engine.register(*fan(4), workflow="waiting")
    return {"ended": ended, "running": running, "limited": limited[0], "waiting": waiting}


async def test_an_engine_at_work_gives_no_false_alarm(both: Both) -> None:
    engine, stop = both.engine, asyncio.Event()

    async def work() -> None:
        # As many tasks end as come, or each comparison would have more to do than the one before it.
        held: list[Claim] = []
        while not stop.is_set():
            await engine.register_many(3, *chain(3))
            await engine.register(*fan(5), workflow="fan")
            held += await engine.claim(30)
            await engine.finish(*held[:-5])
            del held[:-5]

    async def project() -> None:
        while not stop.is_set():
            await both.project()

    await _stories(both)
    await engine.register_many(20, task(1, queue="unserved"), workflow="unserved")
    async with asyncio.TaskGroup() as group:
        group.create_task(work())
        group.create_task(project())
        checked = [await _check(both) for _ in range(15)]
        stop.set()
    assert [one.differences for one in checked] == [[]] * 15
    assert checked[-1].flows > 20
    assert len({one.position for one in checked}) > 10


async def test_what_only_the_log_has_is_counted(both: Both) -> None:
    flows = await _stories(both)
    checked = await _check(both)
    assert checked.differences == []
    assert checked.flows == 5
    assert flows["waiting"] in (await read_live_state(both.client, both.engine.partition)).flows


Damage = Callable[[Both, dict[str, str]], Awaitable[object]]


def _damage(*words: str | int) -> Damage:
    """A command, with {names} of flows filled in."""

    async def do(both: Both, flows: dict[str, str]) -> object:
        return await send(both.client, *(_fill(word, flows) for word in words))

    return do


def _fill(word: str | int, flows: dict[str, str]) -> str | int:
    return word.replace("@", PREFIX).format_map(flows) if isinstance(word, str) else word


DAMAGES = {
    "a status": _damage("HSET", "@flow:{waiting}", "s1", "3 1 0 1-1"),
    "a count of open dependencies": _damage("HSET", "@flow:{waiting}", "o6", 9),
    "a flow that is gone": _damage("DEL", "@flow:{running}"),
    "a flow that came back": _damage("COPY", "@flow:{waiting}", "@flow:{ended}"),
    "a hash that is something else": _damage("DEL", "@flow:{running}", "@flow:{limited}"),
    "a lane": _damage("DEL", "@lane:default:0:waiting:A"),
    "a share": _damage("DEL", "@share:default:0:waiting"),
    "leases": _damage("DEL", "@work:default"),
    "a timer of nothing": _damage("ZADD", "@timers", 5, "a:{waiting}:1"),
    "a counter": _damage("HINCRBY", "@running", "p:limited", 1),
    "a key of another kind": _damage("HSET", "@flow:{waiting}", "c", "nonsense"),
    "a lane's name": _damage("HSET", "@flow:{waiting}", "l1", "nonsense"),
}


@pytest.mark.parametrize("name", DAMAGES)
async def test_damage_is_named_and_put_right(both: Both, name: str) -> None:
    flows = await _stories(both)
    before = await _check(both)
    await DAMAGES[name](both, flows)
    checked = await _check(both)
    assert checked.differences, name
    await rebuild(
        both.client, both.other, load_settings(), await _row(both), lambda _what, _done, _total: None
    )
    await both.take_up()
    assert (await _check(both)).differences == []
    assert (await _check(both)).flows == before.flows
    assert await both.count("SELECT count(*) FROM kr_fork_event") == 0
    await both.engine.bring_due()
    await both.engine.work_off()
    assert all(flow.ended_ms for flow in (await both.check()).values())


async def test_more_flows_than_redis_can_be_kept_waiting_for_are_refused(both: Both) -> None:
    await _stories(both)
    with pytest.raises(RefusedError, match="5 flows under way"):
        await read_live_state(both.client, both.engine.partition, most_flows=4)


async def test_the_command_names_the_events_that_decide_and_repairs(both: Both, settings: Settings) -> None:
    flows = await _stories(both)
    await both.project()
    await DAMAGES["a status"](both, flows)
    code, text = await flower(settings, "verify", words=9)
    assert code == 1
    assert f"flow {flows['waiting']} task 1" in text
    assert "flow.registered" in text
    assert (await flower(settings, "verify", "--repair"))[0] == 1
    assert (await flower(settings, "verify"))[0] == 0
