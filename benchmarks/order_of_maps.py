"""Which flow of a share goes first: ``python -m benchmarks.order_of_maps [FLOWS [ITEMS]]`` (10, 1,000).

Flows of one workflow are registered one after the other: a list, a map over it, and a task that reads what
its items returned; the last one begins first, as if the others had waited for their lists. Told is of each
how many tasks had begun when it ended. No times are taken, so a busy machine changes nothing.
"""

from benchmarks.maps import plan_of
from benchmarks.one_redis import Exchange, empty_partition, run_on_redis
from flower_engine.log.client import connect
from flower_engine.model.values.ids import make_flow_id
from flower_engine.runtime.deciding import Decider
from flower_engine.transitions.register_transition import Start, register
from flower_engine.transitions.worker_transitions import Claim, Outcome, OutcomeKind

SLOTS = 10


async def measure(address: str, flows: int, items: int) -> None:
    """All of it, on a Redis of its own."""
    client = connect(address)
    partition = await empty_partition(client)
    plan, exchange, decider = (
        plan_of("a map", items),
        Exchange(client, partition),
        Decider(client, partition, "b"),
    )
    ids = [make_flow_id(0, 0, number + 1) for number in range(flows)]
    for flow in ids:
        await register(client, partition, [Start(flow, plan)])
    lists = {claim.flow: claim for claim in await exchange([], flows)}
    listed = b"[%b]" % b",".join(b"%d" % number for number in range(items))
    begun, ended, held = flows, dict[str, int](), list[Claim]()
    held = await exchange([Outcome(lists.pop(ids[-1]), OutcomeKind.FINISHED, listed)], 0)
    await decider.run_once()
    while len(ended) < flows:
        outcomes = [Outcome(claim, OutcomeKind.FINISHED, b"1") for claim in held]
        if begun > flows + items // 2:
            outcomes += [Outcome(claim, OutcomeKind.FINISHED, listed) for claim in lists.values()]
            lists.clear()
        ended.update({claim.flow: begun for claim in held if claim.task == 3})
        held = await exchange(outcomes, SLOTS)
        begun += len(held)
        while await decider.run_once():
            pass
    print(f"tasks that had begun when flow 1 to {flows} ended, of {begun}:")
    print(", ".join(f"{ended[flow]:,}" for flow in ids))
    print(f"mean: {sum(ended.values()) / flows:,.0f}")
    await client.aclose()


if __name__ == "__main__":
    run_on_redis(measure, 10, 1_000)
