"""Worlds of the oracle of rules, played on a real server."""

import random
from collections import deque
from collections.abc import Mapping, Sequence

from flower_engine.insight.live_state import read_live_state
from flower_engine.log.client import send
from flower_engine.log.reader import read_log
from flower_engine.model.decisions.decision_tasks import says_true
from flower_engine.model.definitions.definition import PlannedTask
from flower_engine.model.events.events import decode_event
from flower_engine.model.folding.flow_state import FlowState, TaskState
from flower_engine.model.folding.fold import fold_one
from flower_engine.model.invariants.invariants import differences
from flower_engine.model.maps.decision_outcomes import Decided
from flower_engine.model.tasks.outcome_kinds import OutcomeKind
from flower_engine.model.tasks.status import Status
from flower_engine.transitions import decision_transitions
from flower_engine.transitions.decision_transitions import Undecided
from flower_engine.transitions.operator_transitions import cancel, ignore
from flower_engine.transitions.register_transition import FlowPlan, Start, register
from flower_engine.transitions.worker_transitions import Claim, Outcome
from rules_oracle import Node, Oracle, World
from scripts.engine import Engine
from small_flows import folded
from small_flows.ways import End, Way

ON_FAILURE = {"SX": "hold:3600", "X": "give_up", "P": "pass", "p": "pass"}
"""What a definition says of a task that becomes this; "SX" is held, and given up in time."""
SHOWN = {(Status.WAIT, ""): ".", **folded.SHOWN}
ERROR = b'{"type":"ValueError","message":"no \\"table\\"\\nthere","traceback":"..."}'
CAME_TO = {
    "T": Decided(True, b'{"is":true,"values":{}}'),
    "E": Decided(False, b'{"is":false,"values":{}}'),
}


def plan_of(world: World) -> FlowPlan:
    tasks = [
        PlannedTask(
            seq=seq,
            task_seq=seq,
            program="@when" if node.decides else "A",
            depends_on=node.after,
            rule=node.rule,
            on_failure=ON_FAILURE.get(node.becomes, "hold"),
            stand_in=[seq] if node.becomes == "p" else None,
            parameters=({"condition": True} if node.decides else {}) | _reading(node),
            reads={str(other): other for other in node.needs},
            refs=bool(node.needs),
            when=node.when,
            finally_=node.cleans_up,
        )
        for seq, node in enumerate(world, start=1)
    ]
    return FlowPlan("small", tasks, timeout_ms=600_000 if any(node.cleans_up for node in world) else None)


def _reading(node: Node) -> dict[str, object]:
    return {f"p{other}": {"$from": other} for other in node.needs}


class Play:
    """These worlds, each with its tasks ending in an order of its own, looked at after each round."""

    def __init__(self, engine: Engine, some: Sequence[World], seed: int) -> None:
        self.engine = engine
        self.chance = random.Random(seed)  # the same orders each time
        self.oracles = {engine.new_id(): Oracle(world) for world in some}
        self.held: dict[str, dict[int, Claim]] = {flow: {} for flow in self.oracles}
        self.states: dict[str, FlowState] = {}
        self.position: str | None = None
        self.was_late: set[str] = set()

    async def run(self) -> None:
        await self._begin()
        while any(oracle.running for oracle in self.oracles.values()):
            await self._end_some_early()
            await self._end_one_of_each()
            await self._look()

    async def _begin(self) -> None:
        starts = [Start(flow, plan_of(oracle.world)) for flow, oracle in self.oracles.items()]
        await register(self.engine.client, self.engine.partition, starts)
        await self._look()

    async def _end_one_of_each(self) -> None:
        outcomes: list[Outcome] = []
        decided: list[tuple[Undecided, Decided]] = []
        for flow, oracle in self.oracles.items():
            task = self._next_end(flow)
            if task:
                came_to = oracle.world[task - 1].becomes[0]
                oracle.end(task, came_to)
                if oracle.world[task - 1].decides:
                    member = f"{flow}:{task}".encode()
                    decided.append(
                        (Undecided(member, 1, b"", {}), CAME_TO.get(came_to, Decided(None, ERROR)))
                    )
                else:
                    kind = OutcomeKind.FINISHED if came_to == "F" else OutcomeKind.SUSPENDED
                    payload = b"[1]" if came_to == "F" else ERROR
                    outcomes.append(Outcome(self.held[flow].pop(task), kind, payload))
        if decided:
            words = await decision_transitions.decide(
                self.engine.client, self.engine.partition, "w1", decided
            )
            assert words == ["ok"] * len(decided)
        got = await self.engine.exchange("w1", outcomes=outcomes)
        assert got.words == ["ok"] * len(outcomes)

    def _next_end(self, flow: str) -> int:
        """Which task ends next; 0: none does now."""
        running = self.oracles[flow].running
        return self.chance.choice(running) if running else 0

    async def _end_some_early(self) -> None:
        """Of flows with a cleanup: by a cancel, or because they take too long."""
        late: list[str] = []
        for flow, oracle in self.oracles.items():
            if not any(node.cleans_up for node in oracle.world) or oracle.has_ended:
                continue
            kind = self.chance.choice(["", "", "", "cancel", "timeout"])
            if kind == "cancel":
                await cancel(self.engine.client, self.engine.partition, flow, by="ann")
                oracle.cancel()
            elif kind == "timeout" and not oracle.is_ending and flow not in self.was_late:
                late += ["1", f"f:{flow}"]
                self.was_late.add(flow)
                oracle.time_out()
        if late:
            await send(self.engine.client, "ZADD", self.engine.keys.timers, *late)
            await self.engine.fire(most=len(late))
        for flow, claims in self.held.items():
            running = self.oracles[flow].running
            self.held[flow] = {task: claim for task, claim in claims.items() if task in running}
        if late:
            await self._claim()

    async def _claim(self) -> None:
        while True:
            got = await self.engine.exchange("w1", wanted=1000)
            for claim in got.claims:
                self.held[claim.flow][claim.task] = claim
            if not got.claims and not got.more:
                return

    async def _hand_in_late(self) -> None:
        """What was cancelled under its worker, because nobody needed it, comes to nothing."""
        late: list[Outcome] = []
        for flow, claims in self.held.items():
            unneeded = [task for task, stands in self.oracles[flow].stand.items() if stands == "U"]
            late += [
                Outcome(claims.pop(task), OutcomeKind.FINISHED, b"1") for task in unneeded if task in claims
            ]
        got = await self.engine.exchange("w1", outcomes=late)
        assert got.words == ["stale"] * len(late)

    async def _look(self) -> None:
        await self._claim()
        await self._hand_in_late()
        client, partition = self.engine.client, self.engine.partition
        entries = await read_log(client, partition, self.position, 1_000_000)
        for entry in entries:
            fold_one(self.states, decode_event(entry.raw))
        self.position = entries[-1].position if entries else self.position
        found = differences(self.states, await read_live_state(client, partition))
        assert found == [], found
        _compare(self.states, self.oracles, self.held)


class PlayInOrder(Play):
    """These worlds, each with its tasks ending in an order that is given."""

    def __init__(self, engine: Engine, some: Sequence[tuple[World, Way]]) -> None:
        super().__init__(engine, [world for world, _ in some], 0)
        self.left = {flow: deque(way) for flow, (_, way) in zip(self.oracles, some, strict=True)}
        self.now: dict[str, End] = {}

    async def run(self) -> None:
        await self._begin()
        while any(self.left.values()):
            self.now = {flow: way.popleft() for flow, way in self.left.items() if way}
            await self._let_some_go()
            await self._end_one_of_each()
            await self._look()
        for flow, oracle in self.oracles.items():
            if not oracle.has_ended:
                await cancel(self.engine.client, self.engine.partition, flow, by="ann")

    def _next_end(self, flow: str) -> int:
        task, becomes = self.now.get(flow, (0, ""))
        return task if len(becomes) == 1 else 0

    async def _let_some_go(self) -> None:
        """What is held is given up, as its time is over, or passed over by somebody."""
        late: list[str] = []
        for flow, (task, becomes) in self.now.items():
            if len(becomes) == 1:
                continue
            self.oracles[flow].let_go(task, becomes[1])
            if becomes == "SX":
                late += ["1", f"g:{flow}:{task}"]
                continue
            stand_in = b"[2]" if becomes == "Sp" else b""
            client, partition = self.engine.client, self.engine.partition
            await ignore(client, partition, flow, by="ann", tasks=[task], result=stand_in)
        if late:
            await send(self.engine.client, "ZADD", self.engine.keys.timers, "XX", *late)
            await self.engine.fire(most=len(late))


def _compare(
    states: Mapping[str, FlowState], oracles: dict[str, Oracle], held: dict[str, dict[int, Claim]]
) -> None:
    for flow, oracle in oracles.items():
        state = states[flow]
        found = {task.planned.seq: _shown(task) for task in state.tasks}
        for task in oracle.either:
            found[task] = "W" if found[task] == "N" else found[task]
        assert found == oracle.stand, f"{oracle.world} came to {found}, the table says {oracle.stand}"
        ran = [task for task in oracle.running if not oracle.world[task - 1].decides]
        assert sorted(held[flow]) == ran
        assert (state.ended_ms is not None) == oracle.has_ended


def _shown(task: TaskState) -> str:
    if task.is_awaiting:
        return "!"
    if task.status is Status.IGNORE and task.ended_as == "p":
        return "P" if task.result is None else "p"
    if task.status is Status.FINISH and task.planned.program == "@when":
        return "T" if says_true(task.result) else "E"
    return SHOWN[task.status, task.ended_as]
