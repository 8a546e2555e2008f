"""Operations on flows that are parts of trees: reruns go into children, or up to parents; what they, ignores
and cancels would do is told of the whole tree.

Each flow is operated on by a transition of its own. A process that dies between two of them leaves nothing
half done: what ran again within a child lets its parent's task go on by itself, and a parent's task that was
opened for a child which nobody takes up ends again as it had ended.
"""

import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, Literal

import msgspec

from flower_engine.errors import HeldForChildrenError, RefusedError, UnknownFlowError
from flower_engine.flows.effects import Effect
from flower_engine.flows.ended_children import outcome_of_child
from flower_engine.flows.failed_children import effect_of_ended_child, effect_of_failed_child
from flower_engine.flows.flow_operations import Operator
from flower_engine.flows.new_messages import Changes
from flower_engine.flows.operation_effects import effect_of_cancel
from flower_engine.insight.children_under_way import children_under_way
from flower_engine.model.definitions.child_flows import child_flow_id
from flower_engine.model.folding.cleanup import spared_tasks
from flower_engine.model.folding.flow_state import FlowState
from flower_engine.model.tasks.status import Status
from flower_engine.transitions import operator_transitions
from flower_engine.transitions.operator_transitions import OfChildren, Operated, Scope, refusal

MOST_TOLD = 200
"""Other flows of a tree of which an effect is told; the histories of all of them are read."""


_Elsewhere = Literal["rerun", "cancel", "pause", "resume", "priority", "onFailure"]


class ElsewhereInTree(msgspec.Struct, frozen=True, kw_only=True):
    """What an operation does to another flow of the tree, or would (``effect``); ``onFailure``: what a task
    above makes of its child, as that is cancelled, or fails because of one that is. A ``cancel`` of a flow
    above goes on, as it waited for that of this one."""

    flow: str
    operation: _Elsewhere
    done: Operated
    effect: Effect | None = None


class TreeOperator(Operator):
    """Operates on a flow, and on what of its tree goes with it; ``elsewhere`` holds that."""

    def __init__(self, *args: Any, **given: Any) -> None:
        super().__init__(*args, **given)
        self.elsewhere: list[ElsewhereInTree] = []
        self.more_elsewhere = 0
        """How many children there are beside those that are told; what is below these is not counted."""

    async def rerun(
        self,
        selection: Any,
        scope: Scope,
        changes: Changes,
        workflow_version: str = "",
        *,
        keep_answers: bool = False,
        children: OfChildren = "ask",
        is_up: bool = False,
    ) -> Operated:
        """As that of one flow. A task that is held because of its child is not run again, unless it is for
        what is before it: what failed within the child is; but with ``children`` "anew", another version, or
        where nothing of the child can run again. ``is_up``: a child whose parent's task has ended is rerun
        all the same; that task awaits it again, and all that depends on the task runs again, too, and so on
        up to the trunk."""
        done = await operator_transitions.done_before(self._stores.redis, self._partition, self._operation)
        if done is not None:
            return done
        if is_up:
            await self._open_above(selection, scope, changes, workflow_version, keep_answers)
        if selection == "all" or workflow_version:
            children = "anew"
        try:
            return await super().rerun(
                selection, scope, changes, workflow_version, keep_answers=keep_answers, children=children
            )
        except HeldForChildrenError as error:
            held = error.attempts
        foreseen = await super().effect_of_rerun(
            selection, scope, changes, keep_answers=keep_answers, within=held
        )
        own = {task: attempt for task, attempt in held.items() if task in foreseen.within}
        within = await self._rerun_within(own, scope, keep_answers)
        return await self._rerun_others(
            selection, scope, changes, held=held, within=within, keep_answers=keep_answers
        )

    async def _rerun_within(
        self, held: Mapping[int, int], scope: Scope, keep_answers: bool
    ) -> dict[int, Operated]:
        """Reruns what failed in the children of these tasks; those of which something runs again."""
        within: dict[int, Operated] = {}
        for task, attempt in held.items():
            child = child_flow_id(self._flow, task, attempt)
            operator = TreeOperator(self._stores, child, self._by, operation=self._operation_on(child))
            try:
                done = await operator.rerun("failed", scope, {}, keep_answers=keep_answers)
            except UnknownFlowError:  # its history is lost
                continue
            except RefusedError as error:
                if error.reason != "nothing":
                    raise
            else:
                within[task] = done
                told = ElsewhereInTree(flow=child, operation="rerun", done=done)
                self.elsewhere += [told, *operator.elsewhere]
        return within

    async def _rerun_others(
        self,
        selection: Any,
        scope: Scope,
        changes: Changes,
        *,
        held: Mapping[int, int],
        within: Mapping[int, Operated],
        keep_answers: bool,
    ) -> Operated:
        """What of the selection begins anew, beside what goes on with its child."""
        ran = set(within)
        anew: list[int] = [task for task in held if task not in within]
        if not isinstance(selection, str):
            anew = [task for task in selection if task not in within]
        elif anew:
            state = await self.state()
            failed = [task.planned.seq for task in state.tasks if task.status is Status.SUSPEND]
            anew = [seq for seq in failed if seq not in ran]
        elif not anew:
            try:
                done = await super().rerun(
                    selection, scope, changes, keep_answers=keep_answers, children="leave"
                )
            except RefusedError as error:
                if error.reason != "nothing":
                    raise
            else:
                return Operated(done.version, tuple(sorted({*ran, *done.tasks})))
        if anew:
            done = await super().rerun(anew, scope, changes, keep_answers=keep_answers)
            return Operated(done.version, tuple(sorted({*ran, *done.tasks})))
        version = (await self.state()).version
        if self._operation:
            await operator_transitions.remember(self._stores.redis, self._partition, self._operation, version)
        return Operated(version, tuple(sorted(ran)))

    def _operation_on(self, flow: str) -> str:
        """The id of the operation on another flow of the tree: the same one each time that this is sent."""
        if not self._operation:
            return ""
        return hashlib.sha256(f"{self._operation} {flow}".encode()).hexdigest()[:32]

    async def _open_above(
        self, selection: Any, scope: Scope, changes: Changes, workflow_version: str, keep_answers: bool
    ) -> None:
        """Opens what is above, if nothing of that would be refused, nor the rerun itself."""
        above = await self._above_of_rerun(await self._look())
        if above:
            await super().effect_of_rerun(
                selection, scope, changes, workflow_version, keep_answers=keep_answers
            )
        for parent, task in above:
            await parent.effect_of_opening(task, scope, keep_answers)
        for parent, task in above:
            done = await parent.open_for_child(task, scope, keep_answers)
            self.elsewhere.append(ElsewhereInTree(flow=parent._flow, operation="rerun", done=done))

    async def _above_of_rerun(self, state: FlowState) -> list[tuple["TreeOperator", int]]:
        """What is to be opened above for a rerun, the trunk first.

        Raises:
            RefusedError: nothing is above it, or a task there has had another child since.
        """
        if state.parent is None:
            raise refusal(self._flow, "no-parent")
        return await self._parents_to_open(state)

    async def open_for_child(self, task: int, scope: Scope, keep_answers: bool) -> Operated:
        """The task, which has ended, awaits the child that it had; what depends on it runs again."""
        return await super().rerun([task], _above(scope), {}, keep_answers=keep_answers, children="keep")

    async def effect_of_opening(self, task: int, scope: Scope, keep_answers: bool) -> Effect:
        """What :meth:`open_for_child` would do; raises as it does. Nothing is done."""
        return await super().effect_of_rerun([task], _above(scope), {}, keep_answers=keep_answers, is_up=True)

    async def _parents_to_open(self, state: FlowState) -> list[tuple["TreeOperator", int]]:
        """The flows above this one whose tasks have ended that await it, or what is above it; the trunk
        first.

        Raises:
            RefusedError: a task has had another child since.
        """
        found: list[tuple[TreeOperator, int]] = []
        while state.parent is not None:
            parent, flow = state.parent, state.flow
            operator = TreeOperator(self._stores, parent.flow, self._by, operation="")
            operator._operation = self._operation_on(parent.flow)
            state = await operator._look()
            task = state.task(parent.task)
            if task.child == parent.attempt and state.ended_ms is None:
                break
            if task.attempt != parent.attempt or not task.has_ended:
                raise refusal(flow, "not-last-child", parent.flow, str(parent.task))
            found.insert(0, (operator, parent.task))
            if state.ended_ms is None:
                break
        return found

    async def effect_in_tree(
        self,
        selection: Any,
        scope: Scope,
        changes: Changes,
        workflow_version: str = "",
        *,
        keep_answers: bool = False,
        children: OfChildren = "ask",
        is_up: bool = False,
    ) -> Effect:
        """What :meth:`rerun` would do; raises as it does. Nothing is done."""
        state = await self._look()
        had = _children_of(state)
        above = await self._above_of_rerun(state) if is_up else []
        if not is_up:
            await self._refuse_unawaited(state)
        held: dict[int, int] = {}
        if children == "ask" and selection != "all" and not workflow_version:
            asked = {task.planned.seq: task for task in state.tasks if task.is_held_for_child}
            chosen = asked if selection == "failed" else asked.keys() & set(selection)
            held = {seq: asked[seq].attempt for seq in sorted(chosen)}
        effect: Effect | None = None
        if above:  # it is refused before anything above is
            effect = await super().effect_of_rerun(
                selection, scope, changes, workflow_version, keep_answers=keep_answers
            )
            await self._foresee_above(above, scope, keep_answers)
        if effect is None or held:
            within = await self._foreseen_within(held, scope, keep_answers)
            effect = await super().effect_of_rerun(
                selection, scope, changes, workflow_version, keep_answers=keep_answers, within=within.keys()
            )
            for seq in effect.within:
                child, of_child = within[seq]
                self._tell(child, "rerun", of_child)
                self._take_over(child)
        gone = {*effect.runs, *effect.reopens, *effect.asked_again, *effect.vanished}
        await self._foresee_cancelled(had, {*gone, *effect.passed_over, *effect.cut_off})
        return effect

    async def effect_of_ignore(
        self, tasks: Sequence[int], *, has_result: bool = False, cascade: bool = False
    ) -> Effect:
        state = await self._look()
        had = _children_of(state)
        effect = await super().effect_of_ignore(tasks, has_result=has_result, cascade=cascade)
        await self._foresee_cancelled(had, {*effect.passed_over, *effect.cut_off})
        await self._foresee_above_of(state)
        return effect

    async def effect_of_unignore(self, tasks: Sequence[int]) -> Effect:
        state = await self._look()
        await self._refuse_unawaited(state)
        had = _children_of(state)
        effect = await super().effect_of_unignore(tasks)
        await self._foresee_cancelled(had, {*effect.passed_over, *effect.cut_off})
        return effect

    async def effect_of_cancel(self) -> Effect:
        state = await self._seen_state()
        effect = await self._cancelled(state)
        await self._foresee_above_of(state)
        return effect

    async def _foresee_above_of(self, child: FlowState) -> None:
        """What the tasks above make of a flow (``child``: as it is then), level by level: of one that fails,
        or in which nothing goes on then, what their ``on_failure`` says; one that is ending, and waited for
        the end of the other, goes on with its own. Above one that ends well nothing is told."""
        below, is_over, operator = 0, False, self
        while (parent := child.parent) is not None:
            above = TreeOperator(self._stores, parent.flow, self._by)
            state = await above._look()
            task, had = state.task(parent.task), _children_of(state)
            if state.ended_ms is not None:
                return
            if task.awaits_end and child.ended_ms is not None:
                self._tell(above, "cancel", effect_of_ended_child(await above._seen_state(), parent.task))
            elif task.child == parent.attempt and task.is_awaiting and _fails_above(child):
                effect = effect_of_failed_child(await above._seen_state(), parent.task)
                self._tell(above, "onFailure", effect)
                if task.has_ended and child.ended_ms is None and not child.is_ending:
                    await self._foresee_left(operator, child, below, is_over=is_over)
                await above._foresee_cancelled(had, {*effect.passed_over, *effect.cut_off} - {parent.task})
                self._take_over(above)
            else:
                return
            below, is_over, child = parent.task, child.ended_ms is not None, state
            operator = TreeOperator(self._stores, parent.flow, self._by)

    async def _foresee_left(
        self, operator: "TreeOperator", child: FlowState, below: int, *, is_over: bool
    ) -> None:
        """Nobody awaits a flow any more in which nothing goes on: it is cancelled."""
        self._tell(operator, "cancel", await operator._cancelled(child, below, is_over=is_over))
        self._take_over(operator)

    async def _effect_of_cancel(self) -> Effect:
        return await self._cancelled(await self._seen_state())

    async def _cancelled(self, state: FlowState, below: int = 0, *, is_over: bool = False) -> Effect:
        """Of a cancel, with the children; the state is changed. ``below``: a task whose child is cancelled,
        and told of, already; ``is_over``: that has ended then."""
        had = _children_of(state)
        where = (self._stores.redis, self._partition, self._flow)
        under_way = [] if state.is_ending else sorted(await children_under_way(*where, had))
        parents = [seq for seq in under_way if seq != below or not is_over]
        spared = spared_tasks([task.planned for task in state.tasks])
        effect = effect_of_cancel(state, parents)
        await self._foresee_cancelled(had, {*effect.cut_off, *parents} - spared - {below})
        return effect

    async def effect_of_pause(self) -> Effect:
        state = await self._look()
        had, is_paused = _children_of(state), state.paused is not None
        effect = await super().effect_of_pause()
        if not is_paused:
            await self._foresee_handed_down("pause", had, lambda child: child.effect_of_pause())
        return effect

    async def effect_of_resume(self) -> tuple[str, Effect]:
        state = await self._look()
        had, is_paused = _children_of(state), state.paused is not None
        word, effect = await super().effect_of_resume()
        if is_paused:
            await self._foresee_handed_down("resume", had, lambda child: child._effect_of_end())
        return word, effect

    async def _effect_of_end(self) -> Effect:
        return (await self.effect_of_resume())[1]

    async def _effect_of_failed(self) -> Effect:
        return await self.effect_in_tree("failed", "", {})

    async def effect_of_priority(self, priority: int) -> Effect:
        had = _children_of(await self._look())
        effect = await super().effect_of_priority(priority)
        await self._foresee_handed_down("priority", had, lambda child: child.effect_of_priority(priority))
        return effect

    async def _foresee_handed_down(
        self,
        operation: Literal["pause", "resume", "priority"],
        had: Mapping[int, int],
        effect_of: Callable[["TreeOperator"], Awaitable[Effect]],
    ) -> None:
        """Children follow, and theirs; one that is held as it is to be does not, nor what is below."""
        async for child in self._told_of(had):
            try:
                is_paused = (await child._look()).paused is not None
                if (operation == "pause" and is_paused) or (operation == "resume" and not is_paused):
                    continue
                effect = await effect_of(child)
            except (UnknownFlowError, RefusedError):  # it has not begun, or has ended
                continue
            self._tell(child, operation, effect)
            self._take_over(child)

    async def _told_of(self, had: Mapping[int, int]) -> AsyncGenerator["TreeOperator"]:
        """The children of these tasks, by attempt, until as many flows are told as may be; those of the other
        tasks that are under way are counted."""
        tasks = sorted(had.items())
        for index, (seq, attempt) in enumerate(tasks):
            if len(self.elsewhere) >= MOST_TOLD:
                where = (self._stores.redis, self._partition, self._flow)
                self.more_elsewhere += len(await children_under_way(*where, dict(tasks[index:])))
                return
            yield TreeOperator(self._stores, child_flow_id(self._flow, seq, attempt), self._by)

    async def _refuse_unawaited(self, state: FlowState) -> None:
        """Refuses to take up a child that has ended, and that no task awaits any more."""
        if state.parent is None or state.ended_ms is None:
            return
        parent = state.parent
        above = await TreeOperator(self._stores, parent.flow, self._by).state()
        if above.ended_ms is not None or above.task(parent.task).child != parent.attempt:
            raise refusal(self._flow, "not-awaited", parent.flow, str(parent.task))

    async def _foresee_above(
        self, above: Sequence[tuple["TreeOperator", int]], scope: Scope, keep_answers: bool
    ) -> None:
        for parent, task in above:
            had = _children_of(await parent._look())
            effect = await parent.effect_of_opening(task, scope, keep_answers)
            self._tell(parent, "rerun", effect)
            await parent._foresee_cancelled(had, {*effect.runs, *effect.reopens})
            self._take_over(parent)

    async def _foreseen_within(
        self, held: Mapping[int, int], scope: Scope, keep_answers: bool
    ) -> dict[int, tuple["TreeOperator", Effect]]:
        """What would run again within the children of these tasks; those of which something would."""
        found: dict[int, tuple[TreeOperator, Effect]] = {}
        for seq, attempt in held.items():
            child = TreeOperator(self._stores, child_flow_id(self._flow, seq, attempt), self._by)
            try:
                found[seq] = child, await child.effect_in_tree("failed", scope, {}, keep_answers=keep_answers)
            except UnknownFlowError:  # its history is lost
                continue
            except RefusedError as error:
                if error.reason != "nothing":
                    raise
        return found

    async def _foresee_cancelled(self, had: Mapping[int, int], tasks: Collection[int]) -> None:
        """Children that these tasks leave are cancelled, if they are under way."""
        async for child in self._told_of({seq: had[seq] for seq in had.keys() & set(tasks)}):
            try:
                if (await child._look()).is_ending:  # its cleanup goes on: another cancel would end that
                    continue
                effect = await child._effect_of_cancel()
            except (UnknownFlowError, RefusedError):  # it has not begun, or has ended
                continue
            self._tell(child, "cancel", effect)
            self._take_over(child)

    def _tell(self, operator: "TreeOperator", operation: _Elsewhere, effect: Effect) -> None:
        done = Operated(effect.version, effect.concerned)
        told = ElsewhereInTree(flow=operator._flow, operation=operation, done=done, effect=effect)
        self.elsewhere.append(told)

    def _take_over(self, operator: "TreeOperator") -> None:
        self.elsewhere += operator.elsewhere
        self.more_elsewhere += operator.more_elsewhere


def _above(scope: Scope) -> Scope:
    """What runs again behind a task that is opened for its child: all, unless results are to stay."""
    return scope if scope in ("only", "changed") else "dependents"


def _children_of(state: FlowState) -> dict[int, int]:
    """The attempts of the tasks that await a child, or are held for one."""
    return {task.planned.seq: task.child for task in state.tasks if task.child}


def _fails_above(child: FlowState) -> bool:
    """Whether the task that awaits this flow takes how it stands for a failure: it ends without what it is to
    return, or nothing of it goes on."""
    if child.ended_ms is not None or child.is_ending:
        return outcome_of_child(child).says == "cannot"
    return not any(task.status is Status.RUNNING or task.is_ready for task in child.tasks)
