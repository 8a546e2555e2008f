"""Proposals for schedules: what is to become of their slots at a moment, with the plans of the flows."""

from collections.abc import Iterable

import msgspec

from flower_engine.errors import FlowerError
from flower_engine.flows.scheduled_plans import plan_of, plan_of_slot
from flower_engine.projection.definitions.schedule_rows import ScheduledWorkflow
from flower_engine.schedules.catching_up import Decide, decisions
from flower_engine.schedules.schedule import Schedule
from flower_engine.schedules.slot_ids import slot_flow_id
from flower_engine.schedules.slot_parameters import moment_of
from flower_engine.transitions.register_transition import FlowPlan
from flower_engine.transitions.schedule_transitions import Firing, KnownSchedule, SlotDecision
from flower_watcher.scheduled_workflows import Shared

_MOST_DECISIONS = 50  # of a schedule in a call
_MOST_PLANS = 2_000  # of workflows that are kept
_AGAIN_MS = 10_000
_NEVER_MS = 86_400_000
_MOST_WORDS = 500

_workflow = msgspec.json.Decoder(ScheduledWorkflow).decode
_schedule = msgspec.json.Decoder(Schedule).decode


class Proposing:
    """Makes proposals for schedules of one partition; keeps what it read of them as long as it holds."""

    def __init__(self, partition: int, shared: Shared) -> None:
        self._partition = partition
        self._shared = shared
        self._schedules: dict[str, tuple[int, Schedule, FlowPlan | str]] = {}
        self._plans: dict[bytes, FlowPlan | str] = {}

    def knows(self, uid: str, version: int) -> bool:
        """Whether the definition of this version needs not be read again."""
        held = self._schedules.get(uid)
        return held is not None and held[0] == version

    def learn(self, known: KnownSchedule) -> None:
        """Takes a schedule's definition as it was read."""
        try:
            schedule = msgspec.structs.replace(_schedule(known.spec), uid=known.uid)
        except msgspec.ValidationError:  # a row with a problem may hold anything: it has no slots
            schedule = Schedule(name="", uid=known.uid)
        self._schedules[known.uid] = (known.version, schedule, self._plan_of(known))

    def forget(self, uids: Iterable[str]) -> None:
        """These are gone."""
        for uid in uids:
            self._schedules.pop(uid, None)

    def propose(self, known: KnownSchedule, at_ms: int) -> Firing:
        """What is to become of the schedule's slots at a moment, by Redis' clock; it must be known."""
        _, schedule, plan = self._schedules[known.uid]
        is_problem = known.state == "problem"
        looked_at = msgspec.structs.replace(schedule, is_paused=True) if is_problem else schedule
        held = known.held
        if schedule.overlap != "queue_one" and known.waiting is not None:
            held = max(known.waiting, held or 0)
        proposal = decisions(
            looked_at,
            known.cursor,
            at_ms,
            held,
            _MOST_DECISIONS,
            fired_ms=known.fired_ms,
            unpaused_ms=known.unpaused_ms,
        )
        why = "problem" if is_problem or (known.was_problem and not schedule.is_paused) else "paused"
        decided = [self._decision(schedule, plan, one, why) for one in proposal.decisions]
        next_due = proposal.next_due_ms
        if isinstance(plan, str) and not plan and any(one.kind == "fire" for one in decided):
            return self._firing(known, schedule, [], at_ms + _AGAIN_MS)  # its workflow is still to be read
        if is_problem and next_due is None:
            next_due = at_ms + _NEVER_MS
        return msgspec.structs.replace(
            self._firing(known, schedule, decided, next_due), come_ms=proposal.come_ms
        )

    def _firing(
        self, known: KnownSchedule, schedule: Schedule, decided: list[SlotDecision], next_due: int | None
    ) -> Firing:
        return Firing(
            uid=known.uid,
            version=known.version,
            cursor=known.cursor,
            overlap=schedule.overlap,
            decisions=decided,
            next_due_ms=next_due,
            pause_after_failures=schedule.pause_after_failures,
        )

    def _decision(
        self, schedule: Schedule, plan: FlowPlan | str, one: Decide, why_paused: str
    ) -> SlotDecision:
        said = SlotDecision(
            kind=one.kind,
            first=one.first,
            last=one.last,
            count=one.count,
            due_ms=one.due_ms,
            reason=why_paused if one.reason == "paused" else one.reason,
        )
        if one.kind != "fire":
            return said
        moment = moment_of(schedule, one.first)
        problem = plan if isinstance(plan, str) else ""
        if not isinstance(plan, str):
            try:
                return msgspec.structs.replace(
                    said,
                    plan=plan_of_slot(plan, schedule, moment),
                    flow=slot_flow_id(schedule.uid, one.first, self._partition),
                    previous=moment.previous or 0,
                    following=moment.following or 0,
                )
            except FlowerError as error:
                problem = str(error)
        replaced = {"kind": "skip", "reason": "problem", "detail": problem[:_MOST_WORDS]}
        return msgspec.structs.replace(said, **replaced) if problem else said

    def _plan_of(self, known: KnownSchedule) -> FlowPlan | str:
        """The plan of its workflow, or why there is none; "": it is not known yet."""
        raw = known.plan
        if not raw:
            workflow = self._shared.workflows.get(known.uid)
            return _compiled(workflow) if workflow is not None else ""
        plan = self._plans.get(raw)
        if plan is None:
            if len(self._plans) >= _MOST_PLANS:
                self._plans.clear()
            plan = self._plans[raw] = _compiled(_workflow(raw))
        return plan


def _compiled(workflow: ScheduledWorkflow) -> FlowPlan | str:
    try:
        return plan_of(workflow)
    except FlowerError as error:
        return str(error) or "its workflow cannot be run"
