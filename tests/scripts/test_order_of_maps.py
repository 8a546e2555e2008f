"""Which flow of a share goes first where maps have items: a map is one task of its flow."""

from flower_engine.transitions.operator_transitions import ignore, pause, resume
from scripts.engine import Engine, task
from scripts.test_maps import MAPPED, decider, finish_items, run_again

LIST = b"[%b]" % b",".join(b"%d" % number for number in range(1, 13))


async def two_maps(engine: Engine) -> tuple[str, str]:
    """Two flows, whose maps have 12 items each."""
    flows = await engine.register(*MAPPED), await engine.register(*MAPPED)
    await engine.finish(*await engine.claim(wanted=2), payload=LIST)
    assert await decider(engine).run_once() == 2
    return flows


async def claimed(engine: Engine, wanted: int) -> list[tuple[str, int]]:
    claims = await engine.claim(wanted=wanted)
    await engine.finish(*claims, payload=b"1")
    await engine.check()
    return [(claim.flow, claim.task) for claim in claims]


async def test_items_of_the_earlier_flow_go_first_in_the_order_of_their_list(engine: Engine) -> None:
    earlier, later = await two_maps(engine)
    found = [*await claimed(engine, 7), *await claimed(engine, 10), *await claimed(engine, 7)]
    assert found == [(flow, item) for flow in (earlier, later) for item in range(4, 16)]


async def test_ended_items_do_not_put_a_flow_before_an_earlier_one(engine: Engine) -> None:
    earlier, later = await two_maps(engine)
    await pause(engine.client, engine.partition, earlier, by="ann")
    assert await claimed(engine, 9) == [(later, item) for item in range(4, 13)]
    await resume(engine.client, engine.partition, earlier, by="ann")
    await pause(engine.client, engine.partition, later, by="ann")
    await resume(engine.client, engine.partition, later, by="ann")  # its scores are new
    found = await claimed(engine, 15)
    assert found == [*((earlier, item) for item in range(4, 16)), *((later, item) for item in range(13, 16))]


async def test_a_map_that_has_ended_is_one_step(engine: Engine) -> None:
    earlier, later = await two_maps(engine)
    await pause(engine.client, engine.partition, earlier, by="ann")
    await claimed(engine, 12)
    assert await decider(engine).run_once() == 1
    assert (await engine.flow(later)).steps == 2
    await resume(engine.client, engine.partition, earlier, by="ann")
    assert await claimed(engine, 2) == [(later, 3), (earlier, 4)]


async def test_steps_follow_reruns_and_what_is_passed_over(engine: Engine) -> None:
    flow = await engine.register(*MAPPED, task(4))
    first, _ = await engine.claim()
    await engine.finish(first, payload=LIST)
    assert await decider(engine).run_once() == 1
    await ignore(engine.client, engine.partition, flow, by="ann", tasks=[5])
    assert (await engine.flow(flow)).steps == 1
    await finish_items(engine)
    assert await decider(engine).run_once() == 1
    assert (await engine.flow(flow)).steps == 2
    await run_again(engine, flow, 6)
    assert (await engine.flow(flow)).steps == 1, "the map makes its list anew"
    await engine.check()
