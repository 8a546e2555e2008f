"""``FlowHandle``: what can be asked of one flow, and done with it."""

import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, Generic, Literal, Protocol, TypeVar, overload

import msgspec

from flower_engine.client import flow_calls, wait_calls
from flower_engine.client.api_calls import Answer, Patience, Request, Unreached
from flower_engine.client.blocking_schedules import Runner
from flower_engine.client.flow_queries import (
    Scope,
    Selection,
    TaskParameters,
    Tasks,
    dry_run_body,
    fork_body,
    rerun_body,
)
from flower_engine.client.flow_values import Event, Flow, LogLine, Operated, StatusWord, Task
from flower_engine.client.log_following import LogFollowing
from flower_engine.client.wait_values import AnswerLink, Approval, Signalled

R = TypeVar("R")
T = TypeVar("T")


class Handled(Runner, Protocol):
    """A client, as far as handles need it."""

    @property
    def retry_seconds(self) -> float: ...

    def streamed(self, request: Request) -> Generator[str | Answer | Unreached]: ...


class FlowHandle(Generic[R]):
    """One flow. ``is_duplicate``: its registration started nothing new, as its key was known or the
    workflow's limit says skip."""

    def __init__(
        self, client: Handled, flow: str, result_type: Any = Any, *, is_duplicate: bool = False
    ) -> None:
        self.id = flow
        self.is_duplicate = is_duplicate
        self._client = client
        self._result_type = result_type
        self._version = 0  # after the last operation of this handle

    def status(self) -> StatusWord:
        """Where it stands: Wait, Running, Suspend (a task failed for good), Finish, Cancelled; Ignore if all
        of it was passed over."""
        return self.show().word

    def show(self) -> Flow:
        """All of it, with its tasks, as it stands now, after the operations of this handle (its ``is_behind``
        says where Postgres lags too far behind for that); raises UnknownFlowError."""
        return self._client.run(flow_calls.show(self.id, self._client.patience(), self._version))

    def tasks(self) -> list[Task]:
        """Its tasks, as they stand now."""
        return self.show().tasks

    def wait(self, timeout: float | None = None) -> Flow:
        """The flow once it ended, or stands still because tasks failed.

        Raises:
            FlowTimeoutError: so many seconds are over before; it says what the flow waits for.
        """
        return self._client.run(flow_calls.wait(self.id, timeout, self._client.retry_seconds, self._version))

    def result(self, timeout: float | None = None) -> R:
        """What its workflow returns, once it has finished.

        Raises:
            FlowFailedError: a task failed for good; names it and its error.
            FlowCancelledError: it was cancelled.
            FlowTimeoutError: so many seconds are over before.
            ResultError: the result does not convert to the workflow's type.
        """
        retry_seconds = self._client.retry_seconds
        return self._client.run(
            flow_calls.result(self.id, self._result_type, timeout, retry_seconds, self._version)
        )

    @overload
    def task_result(self, task: int | str, of: type[T]) -> T: ...

    @overload
    def task_result(self, task: int | str) -> Any: ...

    def task_result(self, task: int | str, of: Any = Any) -> Any:
        """What a task (by number or name) returned, or what stands in for that; also where it is too large to
        be shown and lies in the API's store of blobs, of at most 64 MiB. ``of``: its type.

        Raises:
            UnknownTaskError: the flow has no such task.
            ResultError: it has returned nothing (yet), or not what converts to the type.
        """
        steps = flow_calls.task_result(self.id, task, of, self._client.patience(), self._version)
        return self._client.run(steps)

    def events(self, after: str | None = None) -> Iterator[Event]:
        """Its history, from behind a position on, as far as it goes now."""
        while True:
            page, after = self._client.run(flow_calls.events_page(self.id, after, self._client.patience()))
            yield from page
            if after is None:
                return

    def logs(
        self,
        task: int | str | None = None,
        *,
        attempt: int | None = None,
        level: int | str | None = None,
        stream: Literal["out", "err", "log", "engine"] | None = None,
        tail: int | None = None,
    ) -> Iterator[LogLine]:
        """What its tasks, or one of them (by number or name), wrote so far, by task, attempt and line: from a
        level (``"WARNING"``, 30) on, of one stream, the last so many lines.

        Raises:
            UnknownTaskError: the flow has no such task.
        """
        query = {"attempt": attempt, "level": level, "stream": stream, "tail": tail}
        after = None
        while True:
            page, after = self._client.run(
                flow_calls.log_page(self.id, task, {**query, "after": after}, self._client.patience())
            )
            yield from page
            if after is None:
                return

    def follow_logs(
        self,
        task: int | str | None = None,
        *,
        attempt: int | None = None,
        level: int | str | None = None,
        stream: Literal["out", "err", "log", "engine"] | None = None,
        tail: int | None = None,
    ) -> Iterator[LogLine]:
        """The same as it comes, until the flow, or the task, is over or stands still: what there is first (of
        which ``tail``: only the last lines), then each line as it was written, once, also where connections
        break off.

        Raises:
            UnknownFlowError, UnknownTaskError: there is no such flow or task.
            ApiUnavailableError: the API has been away for ``retry_seconds``.
        """
        query = {"attempt": attempt, "level": level, "stream": stream, "tail": tail}
        following = LogFollowing(self.id, task, query, self._client.patience)
        while not following.is_over:
            why: Answer | Unreached | None = None
            with closing(self._client.streamed(following.request())) as came:
                for one in came:
                    if not isinstance(one, str):
                        why = one
                    elif (line := following.take(one)) is not None:
                        yield line
            if not following.is_over:
                time.sleep(following.pause_seconds(why))

    def rerun(
        self,
        tasks: Selection = "failed",
        *,
        scope: Scope | None = None,
        parameters: Mapping[str, Any] | None = None,
        task_parameters: TaskParameters | None = None,
        unset: Sequence[str] = (),
        workflow_version: int | str | None = None,
        keep_answers: bool = False,
        new_children: bool = False,
        up: bool = False,
        dry_run: bool = False,
        version: int | None = None,
    ) -> Operated:
        """Tasks (by number or name), those that failed, or all run again; docs/lifecycle.md has ``scope``,
        ``new_children`` and ``up``. ``keep_answers``: waits that have ended, and are not named, keep what
        came of them. With ``workflow_version`` (a number, a hash or ``newest``) as that version has them.
        ``dry_run``: only says what it would do (``effect``).

        Raises:
            RefusedError, MovedError, ParametersError: it cannot be done, and nothing was.
        """
        body = rerun_body(tasks, scope, parameters, task_parameters, unset)
        if workflow_version is not None:
            body["workflowVersion"] = workflow_version
        asked = {"keepAnswers": keep_answers, "newChildren": new_children, "up": up}
        body |= {name: True for name, is_asked in asked.items() if is_asked}
        return self._operate("rerun", version=version, **body, **dry_run_body(dry_run))

    def resume(self, *, dry_run: bool = False, version: int | None = None) -> Operated:
        """Lifts a pause; else reruns what failed, or what a cancel cut off."""
        return self._operate("resume", version=version, **dry_run_body(dry_run))

    def fork(
        self,
        from_tasks: Tasks = (),
        *,
        parameters: Mapping[str, Any] | None = None,
        task_parameters: TaskParameters | None = None,
        unset: Sequence[str] = (),
        workflow_version: int | str | None = None,
        flow_parameters: Mapping[str, Any] | None = None,
        version: int | None = None,
    ) -> "FlowHandle[R]":
        """A new flow from these tasks on, which takes over the results before them; with
        ``workflow_version`` (a number, a hash or ``newest``) of that version: what is otherwise in it runs,
        too, and the flow itself may be given other parameters."""
        body = fork_body(from_tasks, parameters, task_parameters, unset)
        body |= {"workflowVersion": workflow_version, "flowParameters": flow_parameters or None}
        body["version"] = version
        new = self._client.run(flow_calls.fork(self.id, body, self._client.patience()))
        return FlowHandle(self._client, new, self._result_type)

    def fork_dry_run(
        self,
        from_tasks: Tasks = (),
        *,
        parameters: Mapping[str, Any] | None = None,
        task_parameters: TaskParameters | None = None,
        unset: Sequence[str] = (),
        workflow_version: int | str | None = None,
        flow_parameters: Mapping[str, Any] | None = None,
        version: int | None = None,
    ) -> Operated:
        """Only says what a fork would do (``effect``), by the numbers that its tasks have in the new flow."""
        body = fork_body(from_tasks, parameters, task_parameters, unset)
        body |= {"workflowVersion": workflow_version, "flowParameters": flow_parameters or None}
        return self._operate("fork", version=version, **body, **dry_run_body(True))

    def ignore(
        self,
        tasks: Tasks,
        *,
        reason: str = "",
        result: Any = msgspec.UNSET,
        cascade: bool = False,
        dry_run: bool = False,
        version: int | None = None,
    ) -> Operated:
        """Passes over tasks; the rest goes on. ``result`` stands in for that of the one task; ``cascade``:
        and over all that cannot do without a result of theirs. ``dry_run``: only says what it would do."""
        body = {} if result is msgspec.UNSET else {"result": result}
        body |= {**({"cascade": True} if cascade else {}), **dry_run_body(dry_run)}
        return self._operate("ignore", tasks=list(tasks), reason=reason, version=version, **body)

    def unignore(self, tasks: Tasks, *, dry_run: bool = False, version: int | None = None) -> Operated:
        """Takes that back."""
        return self._operate("unignore", tasks=list(tasks), version=version, **dry_run_body(dry_run))

    def cancel(self, *, reason: str = "", dry_run: bool = False, version: int | None = None) -> Operated:
        """Ends it. ``dry_run``: only says what that would cut off."""
        return self._operate("cancel", reason=reason, version=version, **dry_run_body(dry_run))

    def signal(
        self, name: str, payload: Any = None, *, key: str | int = "", signal_id: str | None = None
    ) -> Signalled:
        """Tells it that something happened: the task that awaits it takes it, else it is kept until one does.
        With the same ``signal_id`` it counts once, however often it is sent.

        Raises:
            FlowEndedError: it has ended.
            TooManySignalsError: it keeps as many as it may.
            RefusedError: it got as many as it may in all (``signals-used-up``).
            ParametersError: the payload does not fit the type of a task that may take it.
        """
        body = wait_calls.signal_body(name, payload, key, signal_id)
        return self._client.run(wait_calls.signal(self.id, body, self._client.patience()))

    def answer(
        self, task: int | str, answer: Any, *, attempt: int | None = None, version: int | None = None
    ) -> Operated:
        """Answers an approval: True and False are yes and no, anything else is as its form wants it. Its
        ``tasks`` are empty while others are still to answer. ``attempt``: the asking that whoever answers has
        seen.

        Raises:
            NotAskedError: others are asked.
            RefusedError: nobody is asked just now, it was asked anew, or this name has answered.
            ParametersError: it is not what the form wants.
        """
        done = self._client.run(
            wait_calls.answer(
                self.id, task, wait_calls.answer_body(answer, attempt, version), self._client.patience()
            )
        )
        self._version = max(self._version, done.version)
        return done

    def approval(self, task: int | str) -> Approval:
        """An approval with what it shows.

        Raises:
            RefusedError: the task is none.
        """
        return self._client.run(wait_calls.approval(self.id, task, self._client.patience()))

    def answer_link(self, task: int | str, name: str, *, seconds: float = 7 * 86_400) -> AnswerLink:
        """A link by which this name answers an approval, once and without an account.

        Raises:
            RefusedError: nobody is asked just now, or the API has no secret for links.
            AuthError: the token may not make links.
        """
        return self._client.run(wait_calls.link(self.id, task, name, seconds, self._client.patience()))

    def pause(self, *, reason: str = "", dry_run: bool = False, version: int | None = None) -> Operated:
        """Nothing of it starts until it is resumed."""
        return self._operate("pause", reason=reason, version=version, **dry_run_body(dry_run))

    def prioritise(self, priority: int, *, dry_run: bool = False, version: int | None = None) -> Operated:
        """All its tasks have this priority, -20 (first) to 19."""
        return self._operate("priority", priority=priority, version=version, **dry_run_body(dry_run))

    def __repr__(self) -> str:
        return f"<flow {self.id}>"

    def _operate(self, verb: str, **body: Any) -> Operated:
        done = self._client.run(flow_calls.operate(self.id, verb, body, self._client.patience()))
        self._version = max(self._version, done.version)
        return done

    def _repr_html_(self) -> str:
        """As a notebook shows it: as it stands now, if the API answers at once."""
        from html import escape  # noqa: PLC0415 # for notebooks only

        try:
            return self._client.run(flow_calls.show(self.id, Patience(0))).as_html()
        except Exception as error:  # noqa: BLE001 # to show something must not fail
            return f"<div>{escape(repr(self))}: {escape(str(error))}</div>"
