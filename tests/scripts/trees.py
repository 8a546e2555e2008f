"""Trees of flows on one partition: what a watcher does for them, with workflows in memory."""

from collections.abc import Sequence
from typing import Any

from flower_engine.flows.begun_children import ChildPlans
from flower_engine.flows.memory_sources import MemoryDefinitions
from flower_engine.log.client import send
from flower_engine.model.definitions.child_flows import child_flow_id
from flower_engine.model.definitions.definition import TaskDefinition, WorkflowDefinition
from flower_engine.model.tasks.status import Status
from flower_engine.runtime.clock import SYSTEM_CLOCK
from flower_engine.runtime.deciding import Decider
from flower_engine.transitions.operator_transitions import rerun
from flower_engine.transitions.tree_transitions import DueChild, begin_children, look_at_trees
from scripts.engine import Engine, task


def subflow(
    seq: int, *depends_on: int, workflow: str = "child", given: Any = None, **more: Any
) -> TaskDefinition:
    """A task that another flow does."""
    parameters = {"workflow": workflow} | ({} if given is None else {"parameters": given})
    return task(seq, *depends_on, program="@flow", parameters=parameters, **more)


def mapped(seq: int, *depends_on: int, over: Any, workflow: str = "child", **bounds: Any) -> TaskDefinition:
    """A map each of whose items a child does."""
    given = {"over": over, "workflow": workflow, "as": "day", "parameters": {"n": 1}, **bounds}
    return task(seq, *depends_on, program="@map", parameters=given)


class Trees:
    """What a watcher does for trees."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.definitions = MemoryDefinitions(SYSTEM_CLOCK)
        self.plans = ChildPlans(self.definitions, SYSTEM_CLOCK)

    async def define(
        self,
        *tasks: TaskDefinition,
        name: str = "child",
        returns: Any = None,
        schema: Any = None,
        **more: Any,
    ) -> None:
        """A workflow that children may be of; ``more`` of its definition."""
        definition = WorkflowDefinition(
            name=name, tasks=tasks, returns=returns, parameters_schema=schema, **more
        )
        await self.definitions.put(definition, "test")
        self.engine.programs |= {one.program for one in tasks}

    async def handed(self) -> list[DueChild]:
        """The children that a watcher is given to begin."""
        return (await look_at_trees(self.engine.client, self.engine.partition))[1]

    async def begin(self, due: Sequence[DueChild]) -> list[str]:
        """These begin; the words of what was handed in."""
        begun = [(one, made) for one in due if (made := await self.plans.begin(one)) is not None]
        return await begin_children(self.engine.client, self.engine.partition, begun) if begun else []

    async def step(self) -> Sequence[str]:
        """One round; the words of what was handed in."""
        return await self.begin(await self.handed())

    async def look_again(self) -> None:
        """What is noted of trees is to be looked at now, as if its time had come."""
        tree = self.engine.keys.tree
        for member in await send(self.engine.client, "ZRANGE", tree, 0, -1):
            await send(self.engine.client, "ZADD", tree, 0, member)

    async def settle(self) -> None:
        """Everything that needs no worker."""
        decider = Decider(self.engine.client, self.engine.partition, "test")
        while True:
            more, due = await look_at_trees(self.engine.client, self.engine.partition)
            begun = [(one, made) for one in due if (made := await self.plans.begin(one)) is not None]
            if begun:
                await begin_children(self.engine.client, self.engine.partition, begun)
            if not (await decider.run_once() or begun or more):
                return

    async def child(self, flow: str, seq: int = 1, attempt: int = 1) -> str:
        """The id of a child, which is there."""
        child = child_flow_id(flow, seq, attempt)
        assert child in await self.engine.flows()
        return child

    async def status(self, flow: str, seq: int) -> Status:
        """Where a task stands."""
        return (await self.engine.flow(flow)).task(seq).status

    async def held_behind_what_was_opened(self, rule: str) -> tuple[str, str, list[str]]:
        """A flow, its child, and the children of that: what awaits the first was opened again for it, what
        is behind that, by this rule, is held for the second. Both clean up; the flow above does where it has
        rules."""
        engine = self.engine
        settled: dict[str, Any] = {"finally_": True, "rule": "settled"}
        await self.define(task(1, program="C"), task(2, 1, program="D", **settled))
        last = task(3, 2, program="F", **({} if rule == "ready" else settled))
        await self.define(subflow(1), subflow(2, 1, rule=rule), last, name="middle")
        flow = await engine.register(subflow(1, workflow="middle"))
        await self.settle()
        middle = await self.child(flow)
        for _ in (1, 2):
            await engine.finish(*await engine.claim())
        await self.settle()
        first, second = await self.child(middle, 1), await self.child(middle, 2)
        await engine.suspend(*await engine.claim())
        await engine.finish(*await engine.claim())
        where = (engine.client, engine.partition)
        await rerun(*where, middle, by="ann", selection=[1], scope="only", children="keep")
        await rerun(*where, first, by="ann", selection=[1], restored=await engine.restored(first))
        assert [await self.status(middle, seq) for seq in (1, 2)] == [Status.WAIT, Status.SUSPEND]
        return flow, middle, [first, second]
