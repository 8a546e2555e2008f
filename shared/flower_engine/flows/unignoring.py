"""What taking an ignore back would do to a flow, found from its state as ``operator/unignore.lua`` does."""

from collections.abc import Iterable, Sequence

from flower_engine.flows.effects import BY, Before, Effect, follow
from flower_engine.flows.run_again import Again, began_with, uses
from flower_engine.model.events.operator_events import TaskUnignored
from flower_engine.model.folding.flow_state import FlowState
from flower_engine.model.folding.fold_steps import STEPS
from flower_engine.model.folding.unneeded import cancels_others, has_enough
from flower_engine.model.tasks.end_kinds import UNNEEDED, VANISHED
from flower_engine.model.tasks.status import Status
from flower_engine.model.waits.wait_parameters import PROGRAMS


def effect_of_unignore(flow: FlowState, tasks: Sequence[int], now_ms: int) -> Effect:
    """Of making ignored tasks wait again; the state is changed. ``now_ms``: engine time, by which retries are
    due.

    Raises:
        RefusedError: it would be refused.
    """
    before, chosen = Before(flow), list(dict.fromkeys(tasks))
    behind = _Unignored(flow, now_ms).opened_behind(chosen)
    is_ending = flow.is_ending
    for seq in chosen:
        event = TaskUnignored(
            at=0,
            flow=flow.flow,
            v=flow.version + 1,
            task=seq,
            by=BY,
            behind=tuple(behind) if seq == chosen[-1] else (),
            ending=is_ending,
        )
        STEPS[TaskUnignored](flow, event)
    effect = before.effect(flow, *follow(flow))
    effect.reopens = sorted([*chosen, *behind])
    effect.asked_again = [seq for seq in effect.reopens if flow.task(seq).planned.program in PROGRAMS]
    return effect


class _Unignored(Again):
    """What waits again because somebody takes an ignore back; no result goes, so nothing runs again."""

    def __init__(self, flow: FlowState, now_ms: int) -> None:
        super().__init__(flow, "only", set(), now_ms, keep_answers=False)

    def opened_behind(self, tasks: Iterable[int]) -> list[int]:
        """What waits again beside these; refused as the transition refuses."""
        flow, chosen = self._flow, set[int]()
        for seq in tasks:
            self._refuse_not_ignored(seq)
            self._refuse_begun_behind(seq)
            chosen.add(seq)
        self._add(sorted(chosen))
        while flow.ruled and (self._open_behind() or self._open_needed()):
            pass
        behind = sorted(self._again.keys() - chosen)
        for seq in behind:
            self._refuse_begun_behind(seq)
        self._refuse_behind_given_up()
        self._refuse_unneeded()
        if flow.is_ending and (others := sorted(self._again.keys() - self._spared)):
            self._refuse("ending", str(others[0]))
        return behind

    def _open_needed(self) -> bool:
        """What joins cancelled that counted on what is opened, as far as it is needed again; True: there is
        some."""
        flow = self._flow
        if not cancels_others(flow):
            return False
        left = [
            task
            for task in flow.tasks
            if task.status is Status.WAIT and has_enough(task) and not self._has_enough(task)
        ]
        before = len(self._again)
        while left:
            for seq in left.pop().planned.depends_on:
                task = flow.task(seq)
                is_spared = not flow.is_ending or seq in self._spared
                if task.ended_as == UNNEEDED and seq not in self._again and is_spared:
                    self._add([seq])
                    left += [] if self._has_enough(task) else [task]
        return len(self._again) > before

    def _refuse_not_ignored(self, seq: int) -> None:
        flow = self._flow
        if not 1 <= seq <= len(flow.tasks):
            self._refuse("unknown", str(seq))
        task = flow.task(seq)
        is_otherwise = flow.ruled and task.ended_as not in ("", "p")
        if task.status is not Status.IGNORE or task.ended_as == VANISHED or is_otherwise:
            self._refuse("not-ignored", str(seq))

    def _refuse_begun_behind(self, seq: int) -> None:
        """Where somebody waits for the task who has gone on without it."""
        for dependent in self._flow.dependents[seq]:
            behind = self._flow.task(dependent)
            has_begun = behind.status not in (Status.WAIT, Status.IGNORE)
            if (has_begun or self._is_away(behind) or began_with(behind, seq)) and uses(behind, seq):
                self._refuse("unignore-started", str(seq), str(dependent))
