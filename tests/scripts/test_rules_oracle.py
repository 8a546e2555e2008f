"""Rules on a real server against an oracle that has only their table: small worlds, in any order."""

import itertools
import random
from collections.abc import Mapping, Sequence

import fuzzing
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
from flower_engine.model.tasks.rules import PASS, START, Edge, Standing, decide
from flower_engine.model.tasks.status import Status
from flower_engine.transitions import decision_transitions
from flower_engine.transitions.decision_transitions import Undecided
from flower_engine.transitions.operator_transitions import cancel
from flower_engine.transitions.register_transition import FlowPlan, Start, register
from flower_engine.transitions.worker_transitions import Claim, Outcome
from rules_oracle import (
    Node,
    Oracle,
    World,
    decisions_and_one_behind,
    fates,
    some_worlds,
    with_cancelling_joins,
    worlds,
)
from scripts.engine import Engine

ON_FAILURE = {"S": "hold", "X": "give_up", "P": "pass", "p": "pass"}
STANDS: dict[str, tuple[Standing, bool]] = {
    ".": ("open", False),
    "S": ("held", False),
    "F": ("finished", True),
    "P": ("passed", False),
    "p": ("passed", True),
    "N": ("not_taken", False),
    "X": ("given_up", False),
}
SHOWN = {
    (Status.WAIT, ""): ".",
    (Status.RUNNING, ""): "!",
    (Status.FINISH, ""): "F",
    (Status.IGNORE, "n"): "N",
    (Status.IGNORE, "w"): "W",
    (Status.IGNORE, "c"): "C",
    (Status.IGNORE, "u"): "U",
    (Status.SUSPEND, ""): "S",
    (Status.SUSPEND, "x"): "X",
}
ERROR = b'{"type":"ValueError","message":"no \\"table\\"\\nthere","traceback":"..."}'
CAME_TO = {
    "T": Decided(True, b'{"is":true,"values":{}}'),
    "E": Decided(False, b'{"is":false,"values":{}}'),
}


def test_the_model_decides_as_the_table_does() -> None:
    """All that up to three dependencies may come to, beside a decision or without."""
    for count in range(4):
        after = tuple(range(1, count + 1))
        rules = ["ready", "finished", "settled", "any", "failed", *(f"at_least:{most}" for most in after)]
        for rule, ends, needed, says in itertools.product(
            rules,
            itertools.product(STANDS, repeat=count),
            itertools.product((False, True), repeat=count),
            ("", ".", "S", "T", "E", "P", "N", "X") if count < 3 else ("", ".", "T", "E"),
        ):
            if any(needed) and rule not in ("ready", "finished"):
                continue  # refused when it is defined
            if not count and (not says or rule != "ready"):
                continue  # as is that without a dependency
            needs = frozenset(other for other, is_needed in zip(after, needed, strict=True) if is_needed)
            node = Node(rule, after, needs, "F")
            stand = dict(zip(after, ends, strict=True))
            edges = [
                Edge(STANDS[end][0], is_needed, STANDS[end][1])
                for end, is_needed in zip(ends, needed, strict=True)
            ]
            if says:
                node, stand = node._replace(after=(*after, 9), when=(9, True)), {**stand, 9: says}
                edges.append(_decision(says).gate(True))
            found = {START: "!", PASS: "N"}.get(decide(rule, edges), ".")
            assert found == fates(node, stand).replace("W", "N")[0], (rule, ends, needed, says)


def _decision(says: str) -> Edge:
    return Edge("finished", says=says == "T") if says in "TE" else Edge(STANDS[says][0])


def _plan(world: World) -> FlowPlan:
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


class _Play:
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
        starts = [Start(flow, _plan(oracle.world)) for flow, oracle in self.oracles.items()]
        await register(self.engine.client, self.engine.partition, starts)
        await self._look()
        while any(oracle.running for oracle in self.oracles.values()):
            await self._end_some_early()
            await self._end_one_of_each()
            await self._look()

    async def _end_one_of_each(self) -> None:
        outcomes: list[Outcome] = []
        decided: list[tuple[Undecided, Decided]] = []
        for flow, oracle in self.oracles.items():
            if oracle.running:
                task = self.chance.choice(oracle.running)
                oracle.end(task)
                came_to = oracle.world[task - 1].becomes
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


async def test_flows_of_up_to_three_tasks_come_to_what_the_table_says(engine: Engine) -> None:
    """One in 24 of them, spread over all; all of them in ``make fuzz``."""
    every = 1 if fuzzing.examples(1) > 1 else 24
    some = [*worlds(1), *worlds(2), *itertools.islice(worlds(3), 3, None, every)]
    for first in range(0, len(some), 1000):
        await _Play(engine, some[first : first + 1000], first).run()


async def test_flows_of_four_tasks_come_to_what_the_table_says(engine: Engine) -> None:
    for part in range(fuzzing.examples(1)):
        await _Play(engine, some_worlds(4, 400, part), part).run()


async def test_flows_of_up_to_three_tasks_whose_joins_cancel_the_others_come_to_what_the_table_says(
    engine: Engine,
) -> None:
    every = 1 if fuzzing.examples(1) > 1 else 12
    some = [
        *with_cancelling_joins(worlds(2)),
        *itertools.islice(with_cancelling_joins(worlds(3)), 3, None, every),
    ]
    for first in range(0, len(some), 1000):
        await _Play(engine, some[first : first + 1000], first).run()


async def test_larger_flows_whose_joins_cancel_the_others_come_to_what_the_table_says(engine: Engine) -> None:
    for part in range(fuzzing.examples(1)):
        some = [
            *some_worlds(4, 600, part),
            *some_worlds(5, 600, part),
            *some_worlds(5, 300, part, decides=0.3),
            *some_worlds(4, 300, part, cleans_up=0.4),
            *some_worlds(5, 300, part, decides=0.3, cleans_up=0.3),
        ]
        await _Play(engine, list(with_cancelling_joins(some)), part).run()


async def test_flows_that_decide_come_to_what_the_table_says(engine: Engine) -> None:
    """Every decision with one task behind it; of larger ones some, as there are millions."""
    await _Play(engine, list(decisions_and_one_behind()), 1).run()
    for part in range(fuzzing.examples(1)):
        some = [*some_worlds(3, 400, part, decides=0.5), *some_worlds(4, 600, part, decides=0.4)]
        await _Play(engine, some, part).run()


async def test_flows_that_clean_up_come_to_what_the_table_says_wherever_they_are_ended(
    engine: Engine,
) -> None:
    for part in range(fuzzing.examples(1)):
        some = [*some_worlds(3, 200, part, cleans_up=0.4), *some_worlds(4, 300, part, cleans_up=0.4)]
        some += some_worlds(4, 300, part, decides=0.3, cleans_up=0.4)
        await _Play(engine, some, part).run()
