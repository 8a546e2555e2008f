"""Rules on a real server against an oracle that has only their table: small worlds, in any order."""

import itertools
import random
from collections.abc import Mapping, Sequence

import fuzzing
from flower_engine.insight.live_state import read_live_state
from flower_engine.log.reader import read_log
from flower_engine.model.definition import PlannedTask
from flower_engine.model.events import decode_event
from flower_engine.model.flow_state import FlowState
from flower_engine.model.fold import fold_one
from flower_engine.model.invariants import differences
from flower_engine.model.outcome_kinds import OutcomeKind
from flower_engine.model.rules import PASS, START, Edge, Standing, decide
from flower_engine.model.status import Status
from flower_engine.transitions.register_transition import FlowPlan, Start, register
from flower_engine.transitions.worker_transitions import Claim, Outcome
from rules_oracle import Node, Oracle, World, fate, some_worlds, worlds
from scripts.engine import Engine

ON_FAILURE = {"F": "hold", "S": "hold", "X": "give_up", "P": "pass", "p": "pass"}
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
    (Status.FINISH, ""): "F",
    (Status.IGNORE, "n"): "N",
    (Status.SUSPEND, ""): "S",
    (Status.SUSPEND, "x"): "X",
}
ERROR = b'{"type":"ValueError","message":"no \\"table\\"\\nthere","traceback":"..."}'


def test_the_model_decides_as_the_table_does() -> None:
    """All that up to three dependencies may come to."""
    for count in range(1, 4):
        after = tuple(range(1, count + 1))
        rules = ["ready", "finished", "settled", "any", "failed", *(f"at_least:{most}" for most in after)]
        for rule, ends, needed in itertools.product(
            rules,
            itertools.product(STANDS, repeat=count),
            itertools.product((False, True), repeat=count),
        ):
            if any(needed) and rule not in ("ready", "finished"):
                continue  # refused when it is defined
            needs = frozenset(other for other, is_needed in zip(after, needed, strict=True) if is_needed)
            expected = fate(Node(rule, after, needs, "F"), dict(zip(after, ends, strict=True)))
            edges = [
                Edge(STANDS[end][0], is_needed, STANDS[end][1])
                for end, is_needed in zip(ends, needed, strict=True)
            ]
            found = {START: "!", PASS: "N"}.get(decide(rule, edges), ".")
            assert found == expected, (rule, ends, needed)


def _plan(world: World) -> FlowPlan:
    return FlowPlan(
        "small",
        [
            PlannedTask(
                seq=seq,
                task_seq=seq,
                program="A",
                depends_on=node.after,
                rule=node.rule,
                on_failure=ON_FAILURE[node.becomes],
                stand_in=[seq] if node.becomes == "p" else None,
                parameters={f"p{other}": {"$from": other} for other in node.needs},
                reads={str(other): other for other in node.needs},
                refs=bool(node.needs),
            )
            for seq, node in enumerate(world, start=1)
        ],
    )


async def _play(engine: Engine, some: Sequence[World], seed: int) -> None:
    """Runs these worlds, each with its tasks ending in an order of its own, and looks after each round."""
    chance = random.Random(seed)  # the same orders each time
    flows = [engine.new_id() for _ in some]
    await register(
        engine.client,
        engine.partition,
        [Start(flow, _plan(world)) for flow, world in zip(flows, some, strict=True)],
    )
    oracles = dict(zip(flows, map(Oracle, some), strict=True))
    held: dict[str, dict[int, Claim]] = {flow: {} for flow in flows}
    states: dict[str, FlowState] = {}
    position: str | None = None
    while True:
        while True:
            got = await engine.exchange("w1", wanted=1000)
            for claim in got.claims:
                held[claim.flow][claim.task] = claim
            if not got.claims and not got.more:
                break
        entries = await read_log(engine.client, engine.partition, position, 1_000_000)
        for entry in entries:
            fold_one(states, decode_event(entry.raw))
        position = entries[-1].position if entries else position
        found = differences(states, await read_live_state(engine.client, engine.partition))
        assert found == [], found
        _compare(states, oracles, held)
        outcomes: list[Outcome] = []
        for flow, claims in held.items():
            if claims:
                task = chance.choice(sorted(claims))
                oracles[flow].end(task)
                is_fine = oracles[flow].stand[task] == "F"
                kind = OutcomeKind.FINISHED if is_fine else OutcomeKind.SUSPENDED
                outcomes.append(Outcome(claims.pop(task), kind, b"[1]" if is_fine else ERROR))
        if not outcomes:
            return
        got = await engine.exchange("w1", outcomes=outcomes)
        assert got.words == ["ok"] * len(outcomes)


def _compare(
    states: Mapping[str, FlowState], oracles: dict[str, Oracle], held: dict[str, dict[int, Claim]]
) -> None:
    for flow, oracle in oracles.items():
        state = states[flow]
        found = {
            task.planned.seq: "!"
            if task.status is Status.RUNNING
            else _shown(task.status, task.ended_as, task.result)
            for task in state.tasks
        }
        assert found == oracle.stand, f"{oracle.world} came to {found}, the table says {oracle.stand}"
        assert set(held[flow]) == set(oracle.running)
        has_ended = not any(stands in ".!S" for stands in oracle.stand.values())
        assert (state.ended_ms is not None) == has_ended


def _shown(status: Status, ended_as: str, result: bytes | None) -> str:
    if status is Status.IGNORE and ended_as == "p":
        return "P" if result is None else "p"
    return "." if status is Status.WAIT else SHOWN[status, ended_as]


async def test_flows_of_up_to_three_tasks_come_to_what_the_table_says(engine: Engine) -> None:
    """An eighth of them, spread over all; all of them in ``make fuzz``."""
    every = 1 if fuzzing.examples(1) > 1 else 8
    some = [*worlds(1), *worlds(2), *itertools.islice(worlds(3), 3, None, every)]
    for first in range(0, len(some), 1000):
        await _play(engine, some[first : first + 1000], first)


async def test_flows_of_four_tasks_come_to_what_the_table_says(engine: Engine) -> None:
    for part in range(fuzzing.examples(1)):
        await _play(engine, some_worlds(4, 800, part), part)
