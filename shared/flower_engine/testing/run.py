"""A flow in a test: what becomes of it, and what is done to it."""

from collections.abc import Coroutine, Sequence
from datetime import datetime, timedelta
from typing import Any, Generic, Literal, TypedDict, TypeVar

import msgspec

from flower_engine.client.flow_values import Operated
from flower_engine.flows.effects import Effect
from flower_engine.flows.flow_operations import Selection
from flower_engine.flows.forks import Forking
from flower_engine.flows.operation_views import (
    ForkedView,
    OperatedView,
    told_after,
    told_before,
    told_of_fork,
)
from flower_engine.flows.parameter_changes import Change
from flower_engine.flows.stand_ins import stand_in
from flower_engine.flows.tree_operations import TreeOperator
from flower_engine.model.values.result_json import to_json
from flower_engine.programs.parameter_conversion import strict_decoder
from flower_engine.projection.read.view_fields import moment
from flower_engine.projection.read.views import FlowView
from flower_engine.testing.engine import Engine
from flower_engine.testing.faults import FlowerTestError, StuckError
from flower_engine.testing.run_tasks import RunTasks, names_of, why_stuck
from flower_engine.testing.skipping import Skipping
from flower_engine.testing.written_lines import RunLine
from flower_engine.transitions.operator_transitions import OfChildren
from flower_engine.transitions.operator_transitions import Operated as Done

R_co = TypeVar("R_co", covariant=True)
Status = Literal["Wait", "Running", "Suspend", "Finish", "Ignore", "Cancelled", "Failed", "Ending"]


class _Rerun(TypedDict):
    keep_answers: bool
    children: OfChildren
    is_up: bool


class Run(Generic[R_co]):
    """One flow. Nothing of it happens by itself: :meth:`finish`, :meth:`work` and :meth:`skip` let it."""

    def __init__(self, flow: str, engine: Engine, skipping: Skipping, result_type: Any) -> None:
        self.id = flow
        self._engine = engine
        self._skipping = skipping
        self._result_type = result_type
        self._skipped_before_ms = skipping.skipped_ms

    # How it goes on

    def finish(self) -> R_co:
        """Lets everything happen until the flow has ended, skipping the time between; what it returns.

        Raises:
            StuckError: nothing of it runs and nothing is due, but it has not finished. Says of each task why.
        """
        self.settle()
        return self.result

    def settle(self) -> Status:
        """The same for a flow that need not finish: its status then."""
        self._skipping.run_until(lambda: self._view().finished_ts is not None)
        return self.status

    def work(self) -> Status:
        """Runs all that can run now; no time is skipped."""
        self._skipping.work()
        return self.status

    def wait_for(self, task: str) -> None:
        """Lets everything happen, skipping the time between, until this task awaits something: an answer, a
        signal, a time.

        Raises:
            FlowerTestError: it never does.
        """
        number = self._number(task)
        self._skipping.run_until(lambda: self._view().tasks[number - 1].awaiting is not None)
        if self._view().tasks[number - 1].awaiting is None:
            raise FlowerTestError(f"task {task!r} awaits nothing, and nothing more happens: {self.status}")

    # How it stands

    @property
    def status(self) -> Status:
        """The word that the client says: "Failed" has ended, with tasks that were given up; of "Ending" all
        that is left is its cleanup."""
        view = self._view()
        if view.status == "Suspend" and view.finished_ts:
            return "Failed"
        if view.ending_ts and not view.finished_ts and view.status in ("Wait", "Running"):
            return "Ending"
        return "Cancelled" if view.status == "Ignore" and view.cancelled_ts else view.status

    @property
    def result(self) -> R_co:
        """What the flow returns, as the type that its workflow says.

        Raises:
            StuckError: it has not finished, or tasks of it were given up; says of each task why.
        """
        view = self._view()
        if view.status != "Finish":
            what = "was cancelled" if view.cancelled_ts else "cannot go on"
            if self.status == "Failed":
                what = "has ended as Failed, as tasks of it were given up"
            raise StuckError(why_stuck(view, self.skipped, what))
        if view.result_problem is not None:
            raise FlowerTestError(f"flow {self.id} finished, and returns nothing: {view.result_problem}")
        decode = None if self._result_type is None else strict_decoder(self._result_type)
        blob = view.result_blob
        content = msgspec.json.encode(view.result) if blob is None else self._engine.blobs.read(blob)
        return (decode or msgspec.json.decode)(content)

    @property
    def tasks(self) -> RunTasks:
        """Its tasks by name, as they stand now."""
        view = self._view()
        return RunTasks(self._skipping.call(self._engine.details(view)))

    def child(self, task: str) -> "Run[Any]":
        """The flow that does a task, in its last attempt.

        Raises:
            FlowerTestError: the flow has no such task, or no flow does it.
        """
        view = self._view().tasks[self._number(task) - 1]
        if view.child_flow_id is None:
            raise FlowerTestError(f"flow {self.id}: no flow does task {task!r}")
        return Run(view.child_flow_id, self._engine, self._skipping, None)

    def logs(self, task: str | None = None, *, attempt: int | None = None, level: int = 0) -> list[RunLine]:
        """What its tasks, or one of them, printed and logged so far (stubs, too), in the order in which they
        ran: of one attempt only, from a level of logging on.

        Raises:
            FlowerTestError: the flow has no such task.
        """
        if task is not None:
            self._number(task)
        return [
            line
            for line in self._skipping.lines_of(self.id)
            if task in (None, line.task) and attempt in (None, line.attempt) and line.level >= level
        ]

    @property
    def skipped(self) -> timedelta:
        """How much time was skipped since the flow was registered."""
        return timedelta(milliseconds=self._skipping.skipped_ms - self._skipped_before_ms)

    @property
    def skipped_to(self) -> datetime:
        """What time it is for the flow, in UTC."""
        return moment(self._engine.clock.now_ms())

    # What an operator does; the flow goes on when it is let

    def rerun(
        self,
        *tasks: str,
        scope: Literal["", "only", "dependents", "changed"] = "",
        parameters: dict[str, dict[str, Any]] | None = None,
        keep_answers: bool = False,
        new_children: bool = False,
        up: bool = False,
        dry_run: bool = False,
    ) -> Operated:
        """Reruns these tasks; without names those that failed. ``parameters``: new ones, by task.
        ``keep_answers``: waits that have ended, and are not named, keep what came of them. What failed within
        children runs again there, unless others are to begin (``new_children``); ``up``: of a child whose
        parent's task has ended. ``dry_run``, of this and of others: only says what it would do (``effect``).

        Raises:
            RefusedError: as the API would refuse it.
        """
        selection: Selection = [self._number(task) for task in tasks] or "failed"
        operator, children = self._engine.operator(self.id), "anew" if new_children else "ask"
        given: _Rerun = {"keep_answers": keep_answers, "children": children, "is_up": up}
        wanted = (selection, scope, self._changes(parameters))
        if dry_run:
            return self._told("rerun", operator.effect_in_tree(*wanted, **given), operator)
        return self._done("rerun", operator.rerun(*wanted, **given), operator)

    def fork(self, *from_tasks: str, parameters: dict[str, dict[str, Any]] | None = None) -> "Run[R_co]":
        """A new flow from these tasks on, which takes over the results before them. ``parameters``: new ones,
        by task.

        Raises:
            RefusedError: as the API would refuse it.
        """
        forked = self._skipping.call(self._engine.fork(self._forking(from_tasks, parameters)))
        return Run(forked.task_flow_id, self._engine, self._skipping, self._result_type)

    def fork_dry_run(self, *from_tasks: str, parameters: dict[str, dict[str, Any]] | None = None) -> Operated:
        """Only says what that would do (``effect``), by the numbers of the new flow's tasks."""
        told = self._skipping.call(self._engine.effect_of_fork(self._forking(from_tasks, parameters)))
        return _as_client_says(told_of_fork(self.id, told))

    def ignore(
        self,
        *tasks: str,
        reason: str = "test",
        result: Any = msgspec.UNSET,
        cascade: bool = False,
        dry_run: bool = False,
    ) -> Operated:
        """Passes over tasks; ``result`` stands in for that of the one task; ``cascade``: and over all that
        cannot do without a result of theirs.

        Raises:
            RefusedError: as the API would refuse it.
        """
        given = b"" if result is msgspec.UNSET else stand_in(result)
        numbers, operator = [self._number(task) for task in tasks], self._engine.operator(self.id)
        if dry_run:
            effect = operator.effect_of_ignore(numbers, has_result=bool(given), cascade=cascade)
            return self._told("ignore", effect, operator)
        return self._done("ignore", operator.ignore(numbers, reason, given, cascade=cascade), operator)

    def unignore(self, *tasks: str, dry_run: bool = False) -> Operated:
        """Makes ignored tasks wait again."""
        numbers, operator = [self._number(task) for task in tasks], self._engine.operator(self.id)
        if dry_run:
            return self._told("unignore", operator.effect_of_unignore(numbers), operator)
        return self._done("unignore", operator.unignore(numbers), operator)

    def pause(self, reason: str = "test", *, dry_run: bool = False) -> Operated:
        """Holds the flow: nothing of it starts any more."""
        operator = self._engine.operator(self.id)
        if dry_run:
            return self._told("pause", operator.effect_of_pause(), operator)
        return self._done("pause", operator.pause(reason), operator)

    def resume(self, *, dry_run: bool = False) -> Operated:
        """Lifts a pause; of a flow that is not paused, reruns what failed."""
        operator = self._engine.operator(self.id)
        if dry_run:
            word, effect = self._skipping.call(operator.effect_of_resume())
            return self._foretold(word, effect, operator)
        word, done = self._skipping.call(operator.resume())
        return _as_client_says(told_after(self.id, word, done, operator))

    def prioritise(self, priority: int, *, dry_run: bool = False) -> Operated:
        """All its tasks have this priority, -20 (first) to 19."""
        operator = self._engine.operator(self.id)
        if dry_run:
            return self._told("priority", operator.effect_of_priority(priority), operator)
        return self._done("priority", operator.prioritise(priority), operator)

    def cancel(self, reason: str = "test", *, dry_run: bool = False) -> Operated:
        """Ends the flow."""
        operator = self._engine.operator(self.id)
        if dry_run:
            return self._told("cancel", operator.effect_of_cancel(), operator)
        return self._done("cancel", operator.cancel(reason), operator)

    def answer(self, task: str, answer: Any = True, *, by: str = "test", roles: Sequence[str] = ()) -> None:
        """Answers an approval that is asked now, in the name of somebody who has these roles: True and False
        are yes and no; anything else is what its form wants.

        Raises:
            RefusedError: nobody is asked just now, or this name has answered already.
            ParametersError: it is not what the form wants.
        """
        number = self._number(task)
        given = {"approved": answer} if isinstance(answer, bool) else plain(answer)
        self._skipping.work()
        self._skipping.call(self._engine.answerer(self.id, by).answer(number, given, roles=roles))

    def signal(self, name: str, payload: Any = None, *, key: str | int = "") -> bool:
        """Sends the flow a signal, as if something had happened; whether a task took it at once. Else the
        flow keeps it until a task awaits it.

        Raises:
            ParametersError: the payload does not fit the type of a task that may take it.
            FlowEndedError: the flow has ended.
        """
        done = self._skipping.call(self._engine.signal(self.id, name, str(key), plain(payload)))
        return done.word == "taken"

    def lose_worker(self, task: str) -> None:
        """The worker that runs this task is lost: the attempt ends, and the task waits for another.

        Raises:
            FlowerTestError: the task is not running; only one that hangs is.
        """
        number = self._number(task)
        claim = self._engine.hanging.get((self.id, number))
        if claim is None or self._view().tasks[number - 1].status != "Running":
            raise FlowerTestError(
                f"task {task!r} does not run, so it has no worker to lose: stub its program with hangs() for"
                " that attempt, and call run.work() before"
            )
        self._skipping.call(self._engine.lose_worker(claim))

    def _told(self, word: str, effect: Coroutine[Any, Any, Effect], operator: TreeOperator) -> Operated:
        return self._foretold(word, self._skipping.call(effect), operator)

    def _foretold(self, word: str, effect: Effect, operator: TreeOperator) -> Operated:
        told = self._skipping.call(told_before(self._engine.stores, self.id, word, effect, operator))
        return _as_client_says(told)

    def _done(self, word: str, done: Coroutine[Any, Any, Done], operator: TreeOperator) -> Operated:
        return _as_client_says(told_after(self.id, word, self._skipping.call(done), operator))

    def _forking(self, tasks: Sequence[str], parameters: dict[str, dict[str, Any]] | None) -> Forking:
        numbers = [self._number(task) for task in tasks]
        return Forking(flow=self.id, tasks=numbers, changes=self._changes(parameters))

    def _changes(self, parameters: dict[str, dict[str, Any]] | None) -> dict[int, Change]:
        return {self._number(task): Change(values, [], [], "") for task, values in (parameters or {}).items()}

    def _view(self) -> FlowView:
        return self._skipping.call(self._engine.view(self.id))

    def _number(self, task: str) -> int:
        names = {name: seq for seq, name in enumerate(names_of(self._view().tasks), start=1)}
        if task not in names:
            raise FlowerTestError(f"the flow has no task {task!r}; it has {', '.join(names)}")
        return names[task]

    def __repr__(self) -> str:
        return f"<Run {self.id}: {self.status}>"


def _as_client_says(told: OperatedView | ForkedView) -> Operated:
    return msgspec.convert(msgspec.to_builtins(told), Operated)


def plain(value: Any) -> Any:
    """Its JSON, as whoever sends it over HTTP would have made it."""
    return msgspec.json.decode(msgspec.json.encode(value, enc_hook=to_json))
