"""A flow in a test: what becomes of it, and what is done to it."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Generic, Literal, TypeVar

import msgspec

from flower_engine.flows.flow_operations import Selection
from flower_engine.flows.parameter_changes import Change
from flower_engine.flows.stand_ins import stand_in
from flower_engine.model.values.result_json import to_json
from flower_engine.programs.parameter_conversion import strict_decoder
from flower_engine.projection.read.view_fields import moment
from flower_engine.projection.read.views import FlowView
from flower_engine.testing.engine import Engine
from flower_engine.testing.faults import FlowerTestError, StuckError
from flower_engine.testing.run_tasks import RunTasks, names_of, why_stuck
from flower_engine.testing.skipping import Skipping
from flower_engine.testing.written_lines import RunLine

R_co = TypeVar("R_co", covariant=True)
Status = Literal["Wait", "Running", "Suspend", "Finish", "Ignore", "Cancelled", "Failed", "Ending"]


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
    ) -> None:
        """Reruns these tasks; without names those that failed. ``parameters``: new ones, by task.
        ``keep_answers``: waits that have ended, and are not named, keep what came of them. What failed within
        children runs again there, unless others are to begin (``new_children``); ``up``: of a child whose
        parent's task has ended.

        Raises:
            RefusedError: as the API would refuse it.
        """
        changes = {
            self._number(task): Change(values, [], [], "") for task, values in (parameters or {}).items()
        }
        selection: Selection = [self._number(task) for task in tasks] or "failed"
        self._operate(
            lambda: self._engine.operator(self.id).rerun(
                selection,
                scope,
                changes,
                keep_answers=keep_answers,
                children="anew" if new_children else "ask",
                is_up=up,
            )
        )

    def ignore(self, *tasks: str, reason: str = "test", result: Any = msgspec.UNSET) -> None:
        """Passes over tasks; ``result`` stands in for that of the one task.

        Raises:
            RefusedError: as the API would refuse it.
        """
        given = b"" if result is msgspec.UNSET else stand_in(result)
        numbers = [self._number(task) for task in tasks]
        self._operate(lambda: self._engine.operator(self.id).ignore(numbers, reason, given))

    def unignore(self, *tasks: str) -> None:
        """Makes ignored tasks wait again."""
        numbers = [self._number(task) for task in tasks]
        self._operate(lambda: self._engine.operator(self.id).unignore(numbers))

    def pause(self, reason: str = "test") -> None:
        """Holds the flow: nothing of it starts any more."""
        self._operate(lambda: self._engine.operator(self.id).pause(reason))

    def resume(self) -> None:
        """Lifts a pause; of a flow that is not paused, reruns what failed."""
        self._operate(lambda: self._engine.operator(self.id).resume())

    def cancel(self, reason: str = "test") -> None:
        """Ends the flow."""
        self._operate(lambda: self._engine.operator(self.id).cancel(reason))

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
        self._operate(lambda: self._engine.answerer(self.id, by).answer(number, given, roles=roles))

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

    def _operate(self, operation: Callable[[], Any]) -> None:
        self._skipping.call(operation())

    def _view(self) -> FlowView:
        return self._skipping.call(self._engine.view(self.id))

    def _number(self, task: str) -> int:
        names = {name: seq for seq, name in enumerate(names_of(self._view().tasks), start=1)}
        if task not in names:
            raise FlowerTestError(f"the flow has no task {task!r}; it has {', '.join(names)}")
        return names[task]

    def __repr__(self) -> str:
        return f"<Run {self.id}: {self.status}>"


def plain(value: Any) -> Any:
    """Its JSON, as whoever sends it over HTTP would have made it."""
    return msgspec.json.decode(msgspec.json.encode(value, enc_hook=to_json))
