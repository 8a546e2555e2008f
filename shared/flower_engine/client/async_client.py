"""``AsyncClient``: what ``AsyncClient`` is, for code with asyncio."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Literal, ParamSpec, Self, TypeVar, overload

import msgspec

from flower_engine.client import audit_calls, flow_calls, wait_calls, workflow_calls
from flower_engine.client.api_calls import RETRY_SECONDS, Answer, Patience, Request, Steps, Unreached
from flower_engine.client.api_location import api_url
from flower_engine.client.async_backfills import AsyncBackfills
from flower_engine.client.async_schedules import AsyncSchedules
from flower_engine.client.audit_calls import Act
from flower_engine.client.flow_queries import (
    FlowTimes,
    Scope,
    Selection,
    TaskParameters,
    Tasks,
    dry_run_body,
    flows_query,
    rerun_body,
    time_text,
)
from flower_engine.client.flow_values import (
    Deployed,
    Event,
    Flow,
    FlowEntry,
    LogLine,
    Operated,
    StatusWord,
    Task,
    Worker,
    WorkflowEntry,
)
from flower_engine.client.http_sessions import AsyncSession
from flower_engine.client.http_settings import session_settings
from flower_engine.client.log_following import LogFollowing
from flower_engine.client.wait_values import AnswerLink, Approval, Signalled, SignalledAll
from flower_engine.client.wanted_flows import (
    NamedWorkflow,
    Registration,
    document_of,
    registration,
    result_type_of,
    schedules_of,
)
from flower_engine.secret_files import own_token

if TYPE_CHECKING:
    from flower_engine.authoring.workflow import Prepared, Workflow

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class AsyncClient:
    """What :class:`Client` is, for code with asyncio. A call that is cancelled ends at once; what it had sent
    may be done all the same. It works in one event loop at a time."""

    def __init__(
        self, url: str | None = None, token: str | None = None, *, retry_seconds: float = RETRY_SECONDS
    ) -> None:
        """Does no I/O.

        Args:
            url: where the API is; without it ``FLOWER_URL``, else that of a ``flower up`` on this data folder
                (``FLOWER_HOME``, ``.flower``), else ``http://127.0.0.1:8000``.
            token: without it ``FLOWER_TOKEN``.
            retry_seconds: how long a call tries while the API is away or cannot.

        Raises:
            SettingsError: the URL is none.
        """
        self.url = url or api_url()
        self.retry_seconds = retry_seconds
        self._session = AsyncSession(session_settings(self.url, token or own_token(), "python"))
        self.workflows = AsyncWorkflows(self)
        self.schedules = AsyncSchedules(self)
        self.backfills = AsyncBackfills(self, retry_seconds)

    @overload
    async def register(
        self, workflow: "Workflow[P, R] | Prepared[P, R]", /, *args: P.args, **parameters: P.kwargs
    ) -> "AsyncFlowHandle[R]": ...

    @overload
    async def register(
        self, workflow: str | NamedWorkflow, /, **parameters: Any
    ) -> "AsyncFlowHandle[Any]": ...

    async def register(self, workflow: Any, /, *args: Any, **parameters: Any) -> "AsyncFlowHandle[Any]":
        """Starts a flow of a workflow, with these parameters: of one in Python, with or without options of
        ``.having``, whose parameters are checked here, or of one given by its name (see :func:`named`).

        Raises:
            UnknownWorkflowError, DefinitionError, ParametersError, KeyConflictError, FlowLimitError: it
                cannot be started.
            ApiUnavailableError, AuthError: nobody took it.
        """
        wanted: Registration[Any] = registration(workflow, *args, **parameters)
        return self._handle(wanted, await self.run(flow_calls.register(wanted, self.patience())))

    async def register_many(self, wanted: Iterable[Registration[R]]) -> "list[AsyncFlowHandle[R]]":
        """Starts many flows (see :func:`registration`), 1,000 a request; their handles, in order.

        Raises:
            NotRegisteredError: some were refused; has the errors, and the handles of the others.
        """
        flows = list(wanted)
        registered, refused = await self.run(flow_calls.register_many(flows, self.patience()))
        handles = {place: self._handle(flows[place], registered[place]) for place in sorted(registered)}
        if refused:
            raise flow_calls.not_registered(refused, handles)
        return list(handles.values())

    @overload
    def flow(self, flow: str, workflow: "Workflow[P, R]") -> "AsyncFlowHandle[R]": ...

    @overload
    def flow(self, flow: str, workflow: type[R]) -> "AsyncFlowHandle[R]": ...

    @overload
    def flow(self, flow: str) -> "AsyncFlowHandle[Any]": ...

    def flow(self, flow: str, workflow: Any = Any) -> "AsyncFlowHandle[Any]":
        """A flow that is there already, by its id; with the workflow in Python that it is of, or the type of
        its result, if that is to be more than plain JSON. No call is made."""
        return AsyncFlowHandle(self, flow, result_type_of(workflow))

    async def flows(
        self,
        workflow: str | None = None,
        status: StatusWord | Sequence[StatusWord] | None = None,
        *,
        schedule: str | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[FlowEntry]:
        """Flows, newest first, as they are projected; page after page, as far as one reads. ``schedule``:
        only those that it fired, also if it is gone."""
        query = flows_query(workflow, status, FlowTimes(since, until), limit, schedule)
        left, cursor = limit, ""
        while True:
            page, cursor = await self.run(
                flow_calls.flows_page({**query, "cursor": cursor or None}, self.patience())
            )
            for entry in page[:left]:
                yield entry
            left = None if left is None else left - len(page)
            if cursor is None or (left is not None and left <= 0):
                return

    async def signal(
        self,
        name: str,
        payload: Any = None,
        *,
        key: str | int = "",
        first: bool = False,
        keep_seconds: float | None = None,
        signal_id: str | None = None,
    ) -> SignalledAll:
        """Tells all flows in which a task awaits it that something happened, or the ``first`` of them, and
        with ``keep_seconds`` those that come to await it in that time. With the same ``signal_id`` it counts
        once in a flow, however often it is sent.

        Raises:
            ParametersError: no task that awaits it takes such a payload.
        """
        body = wait_calls.signal_body(name, payload, key, signal_id, first=first, keep_seconds=keep_seconds)
        return await self.run(wait_calls.signal_all(body, self.patience()))

    async def approvals(
        self,
        workflow: str | None = None,
        *,
        role: str | None = None,
        name: str | None = None,
        mine: bool = False,
        limit: int | None = None,
    ) -> AsyncIterator[Approval]:
        """Approvals that wait for an answer, those that were asked last first, page after page: of a
        workflow; that ask for a name or role; that somebody of this ``name`` may answer and has not yet, or
        (``mine``) whose token this is."""
        query = {"taskId": workflow, "role": role, "for": name, "mine": "true" if mine else None}
        left, cursor = limit, ""
        while True:
            query |= {"cursor": cursor or None, "limit": str(min(left or 1_000, 1_000))}
            page, cursor = await self.run(wait_calls.approvals_page(query, self.patience()))
            for one in page[:left]:
                yield one
            left = None if left is None else left - len(page)
            if cursor is None or (left is not None and left <= 0):
                return

    async def audit(
        self,
        *,
        by: str | None = None,
        what: Sequence[str] = (),
        flow: str | None = None,
        workflow: str | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[Act]:
        """What people did, the newest first, page after page: by one of them; only ``what`` is an act
        (``flow.cancelled``) or begins so (``schedule``); to a flow, or to what is of a workflow."""
        asked = {"by": by, "what": list(what) or None, "taskFlowId": flow, "taskId": workflow}
        query: dict[str, Any] = {**asked, "since": time_text(since), "until": time_text(until)}
        left, cursor = limit, ""
        while True:
            query |= {"cursor": cursor or None, "limit": str(min(left or 1_000, 1_000))}
            page, cursor = await self.run(audit_calls.audit_page(query, self.patience()))
            for one in page[:left]:
                yield one
            left = None if left is None else left - len(page)
            if cursor is None or (left is not None and left <= 0):
                return

    async def workers(self) -> list[Worker]:
        """The live workers."""
        return await self.run(flow_calls.workers(self.patience()))

    async def close(self) -> None:
        """Ends its connections; no call works any more."""
        await self._session.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<flower AsyncClient of {self.url}>"

    async def run(self, steps: Steps[T]) -> T:
        """Makes a call of ``flow_calls.py`` or ``workflow_calls.py``."""
        return await self._session.run(steps)

    def streamed(self, request: Request) -> AsyncGenerator[str | Answer | Unreached]:
        """The lines of an answer as they come; or why there are none (any more)."""
        return self._session.streamed(request)

    def patience(self) -> Patience:
        """That of one call."""
        return Patience(self.retry_seconds)

    def _handle(self, wanted: Registration[R], made: flow_calls.Registered) -> "AsyncFlowHandle[R]":
        return AsyncFlowHandle(self, made.flow, wanted.result_type, is_duplicate=made.is_duplicate)


class AsyncWorkflows:
    """The definitions; ``client.workflows``."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def __aiter__(self) -> AsyncIterator[WorkflowEntry]:
        """Every workflow, by name."""
        cursor = None
        while True:
            page, cursor = await self._client.run(workflow_calls.page(cursor, self._client.patience()))
            for entry in page:
                yield entry
            if cursor is None:
                return

    async def get(self, name: str) -> dict[str, Any]:
        """The definition, as the API has it; raises UnknownWorkflowError."""
        return await self._client.run(workflow_calls.get(name, self._client.patience()))

    async def put(self, workflow: "Mapping[str, Any] | Workflow[..., Any]") -> list[str]:
        """Defines a workflow (in Python, or its document), or replaces it as a whole; returns what the API
        warns of.

        Raises:
            DefinitionError: it cannot be run as defined; names every problem.
        """
        return await self._client.run(workflow_calls.put(document_of(workflow), self._client.patience()))

    async def deploy(
        self,
        source: str,
        *workflows: "Mapping[str, Any] | Workflow[..., Any]",
        schedules: Sequence[Mapping[str, Any]] = (),
        prune: bool = False,
        check: bool = False,
        ahead: bool = False,
        expected: Mapping[str, str | None] | None = None,
        expected_schedules: Mapping[str, str | None] | None = None,
    ) -> Deployed:
        """Brings workflows into use, all or none, and says what that changed.

        Args:
            source: where they come from.
            workflows: in Python, whose schedules come with them, or their documents.
            schedules: more of them, as documents.
            prune: delete those that an earlier deploy of the source brought, and that are not here.
            check: only say what would be done.
            ahead: workers that take them come later: what no live version of a program takes is a warning.
            expected: that of the plan that was agreed to; refused if a workflow stands otherwise now.
            expected_schedules: the same of schedules.

        Raises:
            DefinitionError: one cannot be run as defined; names every problem of all.
            RefusedError: a workflow has moved since ``expected``.
        """
        documents = list(map(document_of, workflows))
        more: dict[str, Any] = {"prune": prune, "check": check, "ahead": ahead or None, "expected": expected}
        own = [one for workflow in workflows for one in schedules_of(workflow)]
        more["schedules"] = [*own, *schedules]
        more["expectedSchedules"] = expected_schedules
        return await self._client.run(
            workflow_calls.deploy(source, documents, self._client.patience(), **more)
        )

    async def delete(self, name: str) -> bool:
        """Deletes the definition, not its flows; False if there was none."""
        return await self._client.run(workflow_calls.delete(name, self._client.patience()))


class AsyncFlowHandle(Generic[R]):
    """One flow. ``is_duplicate``: its registration started nothing new, as its key was known or the
    workflow's limit says skip."""

    def __init__(
        self, client: AsyncClient, flow: str, result_type: Any = Any, *, is_duplicate: bool = False
    ) -> None:
        self.id = flow
        self.is_duplicate = is_duplicate
        self._client = client
        self._result_type = result_type
        self._version = 0  # after the last operation of this handle

    async def status(self) -> StatusWord:
        """Where it stands: Wait, Running, Suspend (a task failed for good), Finish, Cancelled; Ignore if all
        of it was passed over."""
        return (await self.show()).word

    async def show(self) -> Flow:
        """All of it, with its tasks, as it stands now, after the operations of this handle (its ``is_behind``
        says where Postgres lags too far behind for that); raises UnknownFlowError."""
        return await self._client.run(flow_calls.show(self.id, self._client.patience(), self._version))

    async def tasks(self) -> list[Task]:
        """Its tasks, as they stand now."""
        return (await self.show()).tasks

    async def wait(self, timeout: float | None = None) -> Flow:  # noqa: ASYNC109 # its error says why
        """The flow once it ended, or stands still because tasks failed.

        Raises:
            FlowTimeoutError: so many seconds are over before; it says what the flow waits for.
        """
        return await self._client.run(
            flow_calls.wait(self.id, timeout, self._client.retry_seconds, self._version)
        )

    async def result(self, timeout: float | None = None) -> R:  # noqa: ASYNC109 # its error says why
        """What its workflow returns, once it has finished.

        Raises:
            FlowFailedError: a task failed for good; names it and its error.
            FlowCancelledError: it was cancelled.
            FlowTimeoutError: so many seconds are over before.
            ResultError: the result does not convert to the workflow's type.
        """
        retry_seconds = self._client.retry_seconds
        return await self._client.run(
            flow_calls.result(self.id, self._result_type, timeout, retry_seconds, self._version)
        )

    @overload
    async def task_result(self, task: int | str, of: type[T]) -> T: ...

    @overload
    async def task_result(self, task: int | str) -> Any: ...

    async def task_result(self, task: int | str, of: Any = Any) -> Any:
        """What a task (by number or name) returned, or what stands in for that; also where it is too large to
        be shown and lies in the API's store of blobs, of at most 64 MiB. ``of``: its type.

        Raises:
            UnknownTaskError: the flow has no such task.
            ResultError: it has returned nothing (yet), or not what converts to the type.
        """
        steps = flow_calls.task_result(self.id, task, of, self._client.patience(), self._version)
        return await self._client.run(steps)

    async def events(self, after: str | None = None) -> AsyncIterator[Event]:
        """Its history, from behind a position on, as far as it goes now."""
        while True:
            page, after = await self._client.run(
                flow_calls.events_page(self.id, after, self._client.patience())
            )
            for entry in page:
                yield entry
            if after is None:
                return

    async def logs(
        self,
        task: int | str | None = None,
        *,
        attempt: int | None = None,
        level: int | str | None = None,
        stream: Literal["out", "err", "log", "engine"] | None = None,
        tail: int | None = None,
    ) -> AsyncIterator[LogLine]:
        """What its tasks, or one of them (by number or name), wrote so far, by task, attempt and line: from a
        level (``"WARNING"``, 30) on, of one stream, the last so many lines.

        Raises:
            UnknownTaskError: the flow has no such task.
        """
        query = {"attempt": attempt, "level": level, "stream": stream, "tail": tail}
        after = None
        while True:
            page, after = await self._client.run(
                flow_calls.log_page(self.id, task, {**query, "after": after}, self._client.patience())
            )
            for line in page:
                yield line
            if after is None:
                return

    async def follow_logs(
        self,
        task: int | str | None = None,
        *,
        attempt: int | None = None,
        level: int | str | None = None,
        stream: Literal["out", "err", "log", "engine"] | None = None,
        tail: int | None = None,
    ) -> AsyncIterator[LogLine]:
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
            async with aclosing(self._client.streamed(following.request())) as came:
                async for one in came:
                    if not isinstance(one, str):
                        why = one
                    elif (line := following.take(one)) is not None:
                        yield line
            if not following.is_over:
                await asyncio.sleep(following.pause_seconds(why))

    async def rerun(
        self,
        tasks: Selection = "failed",
        *,
        scope: Scope | None = None,
        parameters: Mapping[str, Any] | None = None,
        task_parameters: TaskParameters | None = None,
        unset: Sequence[str] = (),
        workflow_version: int | str | None = None,
        new_children: bool = False,
        up: bool = False,
        dry_run: bool = False,
        version: int | None = None,
    ) -> Operated:
        """Tasks (by number or name), those that failed, or all run again; docs/lifecycle.md has ``scope``,
        ``new_children`` and ``up``.
        With ``workflow_version`` (a number, a hash or ``newest``) as that version has them. ``dry_run``: only
        says what it would do (``effect``).

        Raises:
            RefusedError, MovedError, ParametersError: it cannot be done, and nothing was.
        """
        body = rerun_body(tasks, scope, parameters, task_parameters, unset)
        if workflow_version is not None:
            body["workflowVersion"] = workflow_version
        body |= {name: True for name, asked in (("newChildren", new_children), ("up", up)) if asked}
        return await self._operate("rerun", version=version, **body, **dry_run_body(dry_run))

    async def resume(self, *, version: int | None = None) -> Operated:
        """Lifts a pause; else reruns what failed, or what a cancel cut off."""
        return await self._operate("resume", version=version)

    async def fork(
        self,
        from_tasks: Tasks = (),
        *,
        parameters: Mapping[str, Any] | None = None,
        task_parameters: TaskParameters | None = None,
        unset: Sequence[str] = (),
        workflow_version: int | str | None = None,
        flow_parameters: Mapping[str, Any] | None = None,
    ) -> "AsyncFlowHandle[R]":
        """A new flow from these tasks on, which takes over the results before them; with
        ``workflow_version`` (a number, a hash or ``newest``) of that version: what is otherwise in it runs,
        too, and the flow itself may be given other parameters."""
        body = rerun_body(from_tasks, None, parameters, task_parameters, unset)
        of_flow = dict(flow_parameters) if flow_parameters else None
        body |= {"fromTasks": body.pop("tasks") or None, "flowParameters": of_flow}
        body["workflowVersion"] = workflow_version
        new = await self._client.run(flow_calls.fork(self.id, body, self._client.patience()))
        return AsyncFlowHandle(self._client, new, self._result_type)

    async def ignore(
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
        return await self._operate("ignore", tasks=list(tasks), reason=reason, version=version, **body)

    async def unignore(self, tasks: Tasks, *, version: int | None = None) -> Operated:
        """Takes that back."""
        return await self._operate("unignore", tasks=list(tasks), version=version)

    async def cancel(
        self, *, reason: str = "", dry_run: bool = False, version: int | None = None
    ) -> Operated:
        """Ends it. ``dry_run``: only says what that would cut off."""
        return await self._operate("cancel", reason=reason, version=version, **dry_run_body(dry_run))

    async def signal(
        self, name: str, payload: Any = None, *, key: str | int = "", signal_id: str | None = None
    ) -> Signalled:
        """Tells it that something happened: the task that awaits it takes it, else it is kept until one does.
        With the same ``signal_id`` it counts once, however often it is sent.

        Raises:
            FlowEndedError: it has ended.
            TooManySignalsError: it keeps as many as it may.
            ParametersError: the payload does not fit the type of a task that may take it.
        """
        body = wait_calls.signal_body(name, payload, key, signal_id)
        return await self._client.run(wait_calls.signal(self.id, body, self._client.patience()))

    async def answer(
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
        done = await self._client.run(
            wait_calls.answer(
                self.id, task, wait_calls.answer_body(answer, attempt, version), self._client.patience()
            )
        )
        self._version = max(self._version, done.version)
        return done

    async def approval(self, task: int | str) -> Approval:
        """An approval with what it shows.

        Raises:
            RefusedError: the task is none.
        """
        return await self._client.run(wait_calls.approval(self.id, task, self._client.patience()))

    async def answer_link(self, task: int | str, name: str, *, seconds: float = 7 * 86_400) -> AnswerLink:
        """A link by which this name answers an approval, once and without an account.

        Raises:
            RefusedError: nobody is asked just now, or the API has no secret for links.
            AuthError: the token may not make links.
        """
        return await self._client.run(wait_calls.link(self.id, task, name, seconds, self._client.patience()))

    async def pause(self, *, reason: str = "", version: int | None = None) -> Operated:
        """Nothing of it starts until it is resumed."""
        return await self._operate("pause", reason=reason, version=version)

    async def prioritise(self, priority: int, *, version: int | None = None) -> Operated:
        """All its tasks have this priority, -20 (first) to 19."""
        return await self._operate("priority", priority=priority, version=version)

    def __repr__(self) -> str:
        return f"<flow {self.id}>"

    async def _operate(self, verb: str, **body: Any) -> Operated:
        done = await self._client.run(flow_calls.operate(self.id, verb, body, self._client.patience()))
        self._version = max(self._version, done.version)
        return done
