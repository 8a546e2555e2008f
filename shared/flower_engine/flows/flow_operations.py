"""Operations on flows, wherever their state is: in Redis, or only in their history."""

import contextlib
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from typing import Any, TypedDict

from flower_engine.errors import (
    MovedError,
    NeedsResultsError,
    NotUnderWayError,
    PrunedError,
    RefusedError,
    UnknownFlowError,
)
from flower_engine.flows.effects import Effect, moved_on
from flower_engine.flows.history import find_state
from flower_engine.flows.holding_effects import effect_of_pause, effect_of_priority, effect_of_resume
from flower_engine.flows.matched_maps import rerun_matched
from flower_engine.flows.new_messages import Changes, NewMessages, new_messages
from flower_engine.flows.operation_effects import (
    effect_of_cancel,
    effect_of_ignore,
    effect_of_rerun,
    with_those_in_need,
)
from flower_engine.flows.stores import Stores
from flower_engine.flows.unignoring import effect_of_unignore
from flower_engine.flows.version_reruns import Bodies, are_messages_of, bodies_of_rerun, may_run_again
from flower_engine.log.engine_clock import now_ms
from flower_engine.log.partition import Partition
from flower_engine.log.reader import last_position
from flower_engine.model.definitions.definition import PlannedTask
from flower_engine.model.folding.flow_state import FlowState
from flower_engine.model.folding.kept_results import NOTHING, payload_of
from flower_engine.transitions import operator_transitions
from flower_engine.transitions.operator_transitions import OfChildren, Operated, Results, Scope, read_messages
from flower_engine.transitions.park_transitions import unpark
from flower_engine.transitions.prune_transitions import take_back
from flower_engine.transitions.restored_flow import Restored
from flower_engine.transitions.task_fields import decode_message, task_message

_TRIES = 5

Selection = Sequence[int] | str


class _Who(TypedDict):
    by: str
    version: int | None
    operation: str


class Operator:
    """Operates on one flow for somebody."""

    def __init__(
        self, stores: Stores, flow_id: str, by: str, version: int | None = None, operation: str = ""
    ) -> None:
        """``version``: the one that the caller has seen; the operation is refused if there is a newer one.
        ``operation``: its id; one that was done with the same id within the last hour is not done again.

        Raises:
            UnknownFlowError: no flow of this installation can have this id.
        """
        self._stores = stores
        self._partition = stores.living_partition_of(flow_id)
        self._flow = flow_id
        self._by = by
        self._version = version
        self._operation = operation
        self.warnings: list[str] = []
        self._ended: FlowState  # what it is put back from
        self._looked: FlowState | None = None

    async def rerun(
        self,
        selection: Any,
        scope: Scope,
        changes: Changes,
        workflow_version: str = "",
        *,
        keep_answers: bool = False,
        children: OfChildren = "anew",
    ) -> Operated:
        """Reruns tasks (a list, "failed" or "all"), with new parameters for some. ``warnings`` holds what
        of these could not be checked. ``workflow_version``: what runs again has the bodies of that version of
        the workflow from then on, its number, how its hash begins, or "newest"; "": as they are.
        ``keep_answers``: waits that are behind, and not named, keep what came of them. ``children``: see
        ``transitions/operator_transitions.py``; ``tree_operations.py`` goes into them.

        Raises:
            ParametersError: a task or its program cannot take the parameters.
            RefusedError, MovedError: see ``transitions/operator_transitions.py``, and ``version_reruns.py``,
                which raises others, too.
            UnknownFlowError: there is no such flow.
        """

        done = await operator_transitions.done_before(self._stores.redis, self._partition, self._operation)
        if done is not None:  # else its changes would be checked against what they led to
            return done

        async def call(restored: Restored | None, results: Results) -> Operated:
            messages, bodies = NewMessages(), Bodies()
            if workflow_version:
                bodies = await self._bodies(restored, selection, changes, workflow_version)
            elif changes:
                messages = await new_messages(self._stores, await self._messages(restored, changes), changes)
            self.warnings = [*messages.warnings, *bodies.warnings]
            return await rerun_matched(
                self.state,
                *self._where(),
                by=self._by,
                selection=selection,
                scope=scope,
                keep_answers=keep_answers,
                children=children,
                messages=messages.by_task,
                keys=messages.keys,
                bodies=bodies.by_task,
                results=results,
                version=self._version,
                restored=restored,
                operation=self._operation,
            )

        return await self._wherever_it_is(call)

    async def resume(self) -> tuple[str, Operated]:
        """Lifts a pause; of a flow that is not paused, reruns what failed. Returns what it did ("resume" or
        "rerun"), too."""
        try:
            done = await self._once_unparked(
                lambda: operator_transitions.resume(*self._where(), **self._who())
            )
        except NotUnderWayError:
            pass
        except RefusedError as error:
            if error.reason != "not-paused":
                raise
        else:
            return "resume", done
        try:
            return "rerun", await self.rerun("failed", "", {})
        except RefusedError as error:
            raise self._nothing_to_resume(error) from None

    def _nothing_to_resume(self, error: RefusedError) -> RefusedError:
        """What is said where nothing is paused, and a rerun of what failed is refused."""
        if error.reason != "nothing":
            return error
        return RefusedError(
            f"flow {self._flow}: it is not paused, and none of its tasks has failed: there is nothing to"
            " resume",
            "nothing",
        )

    async def ignore(
        self, tasks: Sequence[int], reason: str, result: bytes = b"", *, cascade: bool = False
    ) -> Operated:
        """Passes over tasks; ``result`` is the JSON that stands in for the result of the one task (b"":
        none). ``cascade``: and over all that cannot do without a result of theirs."""
        where, who = self._where(), self._who()
        self._refuse_several(tasks, result)
        for _ in range(_TRIES):
            chosen = with_those_in_need(await self.state(), tasks) if cascade and not result else tasks
            try:
                return await self._under_way(
                    lambda chosen=chosen: operator_transitions.ignore(
                        *where, **who, tasks=chosen, reason=reason, result=result
                    )
                )
            except RefusedError as error:
                if not cascade or error.reason != "needed":  # else the flow was changed at that moment
                    raise
        raise self._restless()

    def _refuse_several(self, tasks: Sequence[int], result: bytes) -> None:
        if result and len(set(tasks)) != 1:
            raise RefusedError(
                f"flow {self._flow}: a result stands in for that of one task; ignore the others alone",
                "one-result",
            )

    async def effect_of_rerun(
        self,
        selection: Any,
        scope: Scope,
        changes: Changes,
        workflow_version: str = "",
        *,
        keep_answers: bool = False,
        within: Collection[int] = (),
        is_up: bool = False,
    ) -> Effect:
        """What :meth:`rerun` would do; raises as it does. Nothing is done. ``within``, ``is_up``: see
        ``operation_effects.py``."""
        state = await self._seen_state()
        bodies: dict[int, PlannedTask] = {}
        parameters: dict[int, dict[str, Any]] = {}
        if workflow_version:
            messages = dict.fromkeys(may_run_again(state, selection), b"")
            new = await bodies_of_rerun(self._stores, state, messages, workflow_version, changes)
            bodies = {seq: body.planned for seq, body in new.by_task.items() if body.new_message}
        elif changes:
            known = {seq: task_message(state.workflow, state.task(seq).planned) for seq in changes}
            given = await new_messages(self._stores, known, changes)
            parameters = {seq: decode_message(one).parameters for seq, (_, one) in given.by_task.items()}
        now = await self._now_ms()
        return effect_of_rerun(
            state,
            selection,
            scope,
            changed={*changes, *bodies},
            bodies=bodies,
            parameters=parameters,
            now_ms=now,
            keep_answers=keep_answers,
            within=within,
            is_up=is_up,
        )

    async def effect_of_ignore(
        self, tasks: Sequence[int], *, has_result: bool = False, cascade: bool = False
    ) -> Effect:
        """What :meth:`ignore` would do; raises as it does. Nothing is done."""
        state = await self._seen_state()
        self._refuse_several(tasks, b"null" if has_result else b"")
        chosen = with_those_in_need(state, tasks) if cascade and not has_result else tasks
        return effect_of_ignore(state, chosen, has_result=has_result)

    async def effect_of_cancel(self) -> Effect:
        """What :meth:`cancel` would do; raises as it does. Nothing is done."""
        return effect_of_cancel(await self._seen_state())

    async def effect_of_pause(self) -> Effect:
        """What :meth:`pause` would do; raises as it does. Nothing is done."""
        return effect_of_pause(await self._seen_state(), await self._now_ms())

    async def effect_of_resume(self) -> tuple[str, Effect]:
        """What :meth:`resume` would do ("resume" or "rerun", too); raises as it does. Nothing is done."""
        if (await self._look()).paused is not None:
            return "resume", effect_of_resume(await self._seen_state(), await self._now_ms())
        try:
            return "rerun", await self._effect_of_failed()
        except RefusedError as error:
            raise self._nothing_to_resume(error) from None

    async def _effect_of_failed(self) -> Effect:
        return await self.effect_of_rerun("failed", "", {})

    async def effect_of_priority(self, priority: int) -> Effect:
        """What :meth:`prioritise` would do; raises as it does. Nothing is done."""
        return effect_of_priority(await self._seen_state(), priority, await self._now_ms())

    async def effect_of_unignore(self, tasks: Sequence[int]) -> Effect:
        """What :meth:`unignore` would do; raises as it does. Nothing is done."""
        return effect_of_unignore(await self._seen_state(), tasks, await self._now_ms())

    async def _now_ms(self) -> int:
        return await now_ms(self._stores.redis, self._partition.keys)

    async def _look(self) -> FlowState:
        """The state, of the version that the caller has seen: for a look at it before an effect is worked out
        of the same one (``_seen_state``), and changes it. The history is read once for both.

        Raises:
            MovedError: there is a newer one.
        """
        if self._looked is None:
            state = await self.state()
            if self._version is not None and state.version != self._version:
                raise moved_on(state)
            self._looked = state
        return self._looked

    async def _seen_state(self) -> FlowState:
        """The same, to be changed."""
        state, self._looked = await self._look(), None
        return state

    async def unignore(self, tasks: Sequence[int]) -> Operated:
        """Makes ignored tasks wait again."""

        async def call(restored: Restored | None, results: Results) -> Operated:
            where, who = self._where(), self._who()
            return await operator_transitions.unignore(
                *where, **who, tasks=tasks, results=results, restored=restored
            )

        return await self._wherever_it_is(call)

    async def cancel(self, reason: str) -> Operated:
        """Ends the flow."""
        where, who = self._where(), self._who()
        return await self._under_way(lambda: operator_transitions.cancel(*where, **who, reason=reason))

    async def pause(self, reason: str) -> Operated:
        """Holds the flow."""
        where, who = self._where(), self._who()
        return await self._under_way(lambda: operator_transitions.pause(*where, **who, reason=reason))

    async def prioritise(self, priority: int) -> Operated:
        """Gives all tasks of the flow another priority."""
        where, who = self._where(), self._who()
        return await self._under_way(
            lambda: operator_transitions.prioritise(*where, **who, priority=priority)
        )

    async def state(self) -> FlowState:
        """The fold of the flow's history.

        Raises:
            UnknownFlowError: there is no such flow.
        """
        return await find_state(self._stores, self._partition, self._flow)

    def _where(self) -> tuple[Any, Partition, str]:
        return self._stores.redis, self._partition, self._flow

    def _who(self) -> _Who:
        return {"by": self._by, "version": self._version, "operation": self._operation}

    async def _under_way(self, call: Callable[[], Awaitable[Operated]]) -> Operated:
        """What makes no sense for a flow that has ended."""
        try:
            return await self._once_unparked(call)
        except NotUnderWayError:
            status = (await self.state()).status.word
        raise RefusedError(
            f"flow {self._flow}: it has ended ({status}); rerun it, or fork it, to do anything more with it",
            "ended",
        )

    async def _once_unparked(self, call: Callable[[], Awaitable[Operated]]) -> Operated:
        """Calls for a flow under way, which is put back before if it was parked.

        Raises:
            NotUnderWayError: it has ended.
        """
        for _ in range(_TRIES):
            try:
                return await call()
            except NotUnderWayError as error:
                state = await self.state()
                if state.ended_ms is not None:
                    raise
                await self._unpark(state, error.position)
        raise self._restless()

    async def _unpark(self, state: FlowState, position: str) -> None:
        redis, partition, flow = self._where()
        with contextlib.suppress(MovedError):  # somebody was faster: its history has more by now
            await unpark(redis, partition, flow, Restored.of(state, position=position, parked=True))

    def _restless(self) -> MovedError:
        return MovedError(f"flow {self._flow} changes all the time; look at it again, then decide", "moved")

    async def _wherever_it_is(
        self, call: Callable[[Restored | None, Results], Awaitable[Operated]]
    ) -> Operated:
        """Calls for a flow under way; for one that has ended with its state, folded anew if it moved on; and
        with the results that are needed again."""
        restored: Restored | None = None
        results: Results = {}
        for _ in range(_TRIES):
            try:
                return await call(restored, results)
            except NeedsResultsError as error:
                results = results_of(await self.state(), error.tasks)
            except NotUnderWayError as error:
                state = await self.state()
                if state.ended_ms is None:  # it is parked, or was reopened a moment ago
                    await self._unpark(state, error.position)
                    continue
                restored, self._ended = Restored.of(state, position=error.position), state
            except PrunedError as error:
                await self._unless_pruned(error)
                restored = None
            except MovedError:
                if restored is None or self._version is not None:
                    raise
                restored = None
            except RefusedError as error:
                if error.reason != "outdated":
                    raise
        raise self._restless()

    async def _unless_pruned(self, error: PrunedError) -> None:
        """Returns if the flow is there all the same: who pruned died before it went, or an older Postgres is
        back.

        Raises:
            PrunedError: a prune is at work.
            UnknownFlowError: it has gone.
        """
        redis, partition, flow = self._where()
        async with self._stores.archive.pruning(flow) as is_at_work:
            if is_at_work is None:
                raise UnknownFlowError(f"no flow has the id {flow!r}: it ended long ago, and was pruned")
            if is_at_work:
                raise error
            await take_back(redis, partition, error.until_ms)

    async def _messages(self, restored: Restored | None, tasks: Iterable[int]) -> dict[int, bytes]:
        """The messages of tasks as they are.

        Raises:
            NotUnderWayError: the flow is not in Redis, and not given either.
            RefusedError: there is no such task.
        """
        tasks = list(tasks)
        found = restored.messages(tasks) if restored else await read_messages(*self._where(), tasks)
        if found is None:
            redis, partition, flow = self._where()
            position = await last_position(redis, partition)
            raise NotUnderWayError(f"flow {flow} is not under way", position)
        for task in tasks:
            if task not in found:
                raise RefusedError(f"flow {self._flow}: it has no task {task}", "unknown")
        return found

    async def _bodies(
        self, restored: Restored | None, selection: Any, changes: Changes, workflow_version: str
    ) -> Bodies:
        """Of all tasks that may run again those of another version."""
        if restored:
            state = self._ended
            messages = dict.fromkeys(may_run_again(state, selection), b"")  # they follow from the state
        else:
            await self._messages(None, [1])  # of a flow that has ended nothing need be read twice
            state = await self.state()
            messages = await self._messages(None, may_run_again(state, selection))
            if not are_messages_of(state, messages):  # they are newer
                state = await self.state()
        return await bodies_of_rerun(self._stores, state, messages, workflow_version, changes)


def results_of(state: FlowState, tasks: Sequence[int]) -> Results:
    """The results of these tasks, as the flow's history has them."""
    known = {seq: state.task(seq) for seq in tasks}
    return {seq: (task.attempt, payload_of(task) or NOTHING) for seq, task in known.items()}
