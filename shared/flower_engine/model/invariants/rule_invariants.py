"""What Redis counts of rules is what the fold of its log says, and every decision has been made.

Nothing waits for what can no longer come, unless a note under way is still to tell it so.
"""

from collections.abc import Iterator, Set

from flower_engine.model.decisions.decision_tasks import LETTERS
from flower_engine.model.definitions.task_rules import TaskRules, rule_in_force
from flower_engine.model.folding.flow_state import FlowState, TaskState
from flower_engine.model.folding.fold_rules import edges_of, has_value, said_by
from flower_engine.model.folding.unneeded import cancels_others, unneeded_in
from flower_engine.model.invariants.partition_state import LiveFlow, LiveTask
from flower_engine.model.tasks.end_kinds import CUT_OFF, NOT_TAKEN, UNMET, kind_in_redis
from flower_engine.model.tasks.rules import PASS, Edges, decided, decided_by_rule
from flower_engine.model.tasks.status import Status

_NONE = "0 0 0 0 0 0 -"


def rule_differences(flow: FlowState, held: LiveFlow, releasing: Set[int]) -> Iterator[str]:
    """Where a flow stands otherwise than rules say, or Redis counts otherwise than its events say.
    ``releasing``: tasks of whose end others are still to be told."""
    if ("r" in held.flags) != flow.ruled:
        yield f"flow {flow.flow}: it has rules: {flow.ruled}; its flags are {held.flags!r}"
    if not flow.ruled:
        return
    given_up = any(task.ended_as == "x" for task in flow.tasks)
    if ("x" in held.flags) != given_up:
        yield f"flow {flow.flow}: it has given something up: {given_up}; its flags are {held.flags!r}"
    for task, found in zip(flow.tasks, held.tasks, strict=True):
        yield from _task(flow, task, found, releasing)
    cancels = cancels_others(flow)
    if ("o" in held.flags) != cancels:
        yield f"flow {flow.flow}: a join of it cancels others: {cancels}; its flags are {held.flags!r}"
    for seq in () if releasing else unneeded_in(flow):
        yield f"flow {flow.flow} task {seq}: nobody needs it, and nothing is noted that cancels it"


def _task(flow: FlowState, task: TaskState, found: LiveTask, releasing: Set[int]) -> Iterator[str]:
    where = f"flow {flow.flow} task {task.planned.seq}"
    kind = kind_in_redis(task.ended_as, has_value=has_value(task)) or LETTERS[said_by(task)]
    if found.kind != kind and {found.kind, kind} != {"", "p"}:  # what had no rules at first does not know
        yield f"{where}: it has ended as {found.kind!r}, its events say {kind!r}"
    rules = TaskRules.of(task.planned)
    if found.rules != (rules.text().decode() if rules else ""):
        yield f"{where}: its rules are {found.rules!r}, its events say {rules}"
    edges = Edges.of(edges_of(flow, task))
    if task.edges != edges:
        yield f"{where}: the fold counts {task.edges}, its dependencies stand as {edges}"
    is_passed = decided(rule_in_force(task.planned), edges) is PASS
    by_rule = decided_by_rule(rule_in_force(task.planned), edges) is PASS
    if (task.ended_as == NOT_TAKEN and not by_rule) or (task.ended_as == UNMET and not edges.barred):
        yield f"{where}: it is passed over, and nothing that has ended is a cause of it: {edges}"
    if not releasing.isdisjoint(task.planned.depends_on):
        return
    if task.status is Status.WAIT and not task.used and is_passed and not task.awaits_flow:
        yield f"{where}: it waits for what can no longer come: {edges}"
    if task.ended_as == CUT_OFF:
        return  # nobody asks how its dependencies stand: what opens it again counts them anew
    yield from _edges(where, task, found.edges or _NONE, edges)


def _edges(where: str, task: TaskState, found: str, edges: Edges) -> Iterator[str]:
    rule = rule_in_force(task.planned)
    held = edges.held if rule.word == "failed" else 0
    numbers = (edges.finished, edges.passed, edges.not_taken, edges.given_up, held, edges.missing)
    *counted, used = found.split(" ")
    gate = used[:1] if used[:1].isalpha() else ""
    used = used.removeprefix(gate)
    expected = "b" * edges.barred or "t" * edges.taken or "u" * edges.undecided
    if gate != expected:
        yield f"{where}: its branch stands as {gate!r}, its events say {expected!r}"
    if list(map(str, numbers)) != counted:
        yield f"{where}: its edges are {found!r}, its events say {edges}"
    begun = used.removeprefix("!") if used.startswith("!") else ""
    if begun != ",".join(map(str, task.used)):
        yield f"{where}: it began with {used!r}, its events say {task.used}"
    if not begun and rule.picks:
        picked = 0 if used == "-" else used.count(",") + 1
        able = edges.held + edges.given_up if rule.word == "failed" else edges.used
        if picked != min(able, rule.most or 1):
            yield f"{where}: it is to begin with {used!r}, of {edges}"
