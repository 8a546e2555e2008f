"""What an operation on a flow did, or would do, in the words in which it is told: by the API, and in tests of
workflows."""

from typing import Any, Self

import msgspec

from flower_engine.flows.effects import Effect
from flower_engine.flows.forks import ForkedEffect
from flower_engine.flows.held_up import HoldingUp
from flower_engine.flows.stores import Stores
from flower_engine.flows.tree_operations import ElsewhereInTree, TreeOperator
from flower_engine.projection.read.view_fields import View
from flower_engine.projection.read.wait_views import WaitReason
from flower_engine.transitions.operator_transitions import Operated


class HeldUpView(View):
    """Tasks, by taskExecSeq, that would be ready, and what they wait for then."""

    tasks: list[int]
    reason: WaitReason


class EffectView(View):
    """What an operation would do, by taskExecSeq. What is in no list waits or runs as it did.

    ``runs`` again from the start; ``reopens``: was passed over, was not asked for, and waits again;
    ``askedAgain``: of both, what asks the world anew; ``passedOver``, because it was asked for or by rules;
    ``vanished``: items of maps that are expanded anew; ``matched``: maps of which items that are the same as
    before do not run then, which is known when they have their list;
    ``within``: they go on with the children that they have, in which tasks run again (see ``tree``);
    ``cutOff`` by a cancel, or because nobody needs it any more; ``cleanup``: what a cancel spares, and runs
    or waits before the flow ends; ``kept``: has ended, and stays so, or a fork takes it over as it is;
    ``ready``: may start at once; ``withdrawn``: might start, and cannot then, because of what is opened
    before it, or of a pause; ``runsOn``: of a pause, runs, and may end; ``awaits``: what it awaits of the
    world, of time or of its child counts in a pause, too; ``prioritised``: has not ended, and has another
    priority then; ``moved``: of these, waits for a worker, and at once as the new priority says; ``held``,
    ``givenUp``: because of a child that is cancelled, as its ``onFailure`` says; ``heldUp``: might start, and
    waits for what is said of it (no place for its flow, a pause of a scope). ``ends``: the flow does."""

    runs: list[int]
    reopens: list[int]
    asked_again: list[int]
    passed_over: list[int]
    vanished: list[int]
    matched: list[int]
    cut_off: list[int]
    cleanup: list[int]
    within: list[int]
    kept: list[int]
    ready: list[int]
    withdrawn: list[int]
    runs_on: list[int]
    awaits: list[int]
    prioritised: list[int]
    moved: list[int]
    held: list[int]
    given_up: list[int]
    held_up: list[HeldUpView]
    ends: bool

    @classmethod
    def of(cls, effect: Effect) -> Self:
        told: dict[str, Any] = {name: getattr(effect, name) for name in cls.__struct_fields__}
        told["held_up"] = [HeldUpView(one.tasks, one.reason) for one in effect.held_up]
        return cls(**told)


class OperatedView(View, omit_defaults=True):
    """What an operation did: the flow's version after it, and the tasks concerned by taskExecSeq.
    ``warnings``: what of it could not be checked. ``effect``: of a dry run, which did nothing; ``version`` is
    the one that it was told for. ``tree``: what it did, or would do, to other flows of the tree: to children
    and, with ``up``, to parents (``onFailure``: of a child that is cancelled, what the tasks above make of
    that; ``cancel`` of one above: it is ending, and goes on with that as it waited for this one alone);
    ``moreInTree``: to so many children more, which are not told."""

    task_flow_id: str
    operation: str
    version: int
    tasks: list[int]
    warnings: list[str] = msgspec.field(default_factory=list)
    effect: EffectView | None = None
    tree: "list[OperatedView]" = msgspec.field(default_factory=list)
    more_in_tree: int = 0


class ForkedView(View, omit_defaults=True):
    """The new flow and its workflow, and the flow that it was forked from (``forkedFrom``). Of a dry run the
    old flow, its ``version``, and what would become of the tasks of the new one, by their numbers there.
    ``warnings``: what of it could not be checked; ``names``: what those tasks are called, where another
    version of the workflow was asked for."""

    task_flow_id: str
    task_id: str = ""
    forked_from: str = ""
    warnings: list[str] = msgspec.field(default_factory=list)
    operation: str = ""
    version: int = 0
    tasks: list[int] = msgspec.field(default_factory=list)
    effect: EffectView | None = None
    names: dict[int, str] = msgspec.field(default_factory=dict)


async def told_before(
    stores: Stores, flow: str, operation: str, effect: Effect, operates: TreeOperator
) -> OperatedView:
    """What a dry run says, and what beside the flow holds up what would start."""
    await HoldingUp(stores).tell(flow, effect, operates.elsewhere)
    told = OperatedView(flow, operation, effect.version, list(effect.concerned), effect=EffectView.of(effect))
    told.tree = [_elsewhere(one) for one in operates.elsewhere]
    told.more_in_tree = operates.more_elsewhere
    return told


def told_of_fork(flow: str, told: ForkedEffect) -> ForkedView:
    """What the dry run of a fork of this flow says."""
    effect, seen = told.effect, EffectView.of(told.effect)
    return ForkedView(
        flow,
        warnings=told.warnings,
        operation="fork",
        version=effect.version,
        tasks=list(effect.concerned),
        effect=seen,
        names=told.names,
    )


def told_after(
    flow: str, operation: str, done: Operated, operates: TreeOperator | None = None
) -> OperatedView:
    """What an operation says that is done."""
    told = OperatedView(flow, operation, done.version, list(done.tasks))
    if operates is not None:
        told.warnings, told.tree = operates.warnings, [_elsewhere(one) for one in operates.elsewhere]
    return told


def _elsewhere(one: ElsewhereInTree) -> OperatedView:
    effect = None if one.effect is None else EffectView.of(one.effect)
    return OperatedView(one.flow, one.operation, one.done.version, list(one.done.tasks), effect=effect)
