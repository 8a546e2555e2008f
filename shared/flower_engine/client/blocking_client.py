"""``Client``: registers flows and looks after them, over HTTP; for code that blocks."""

from collections.abc import Generator, Iterable, Iterator, Sequence
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar, overload

from flower_engine.client import audit_calls, flow_calls, wait_calls
from flower_engine.client.api_calls import RETRY_SECONDS, Answer, Patience, Request, Steps, Unreached
from flower_engine.client.api_location import api_url
from flower_engine.client.audit_calls import Act
from flower_engine.client.blocking_backfills import Backfills
from flower_engine.client.blocking_flow_handle import FlowHandle
from flower_engine.client.blocking_schedules import Schedules
from flower_engine.client.blocking_workflows import Workflows
from flower_engine.client.flow_queries import FlowTimes, flows_query, time_text
from flower_engine.client.flow_values import FlowEntry, StatusWord, Worker
from flower_engine.client.http_sessions import BlockingSession
from flower_engine.client.http_settings import session_settings
from flower_engine.client.wait_values import Approval, KeptSignal, SignalledAll
from flower_engine.client.wanted_flows import NamedWorkflow, Registration, registration, result_type_of
from flower_engine.secret_files import own_token

if TYPE_CHECKING:
    from flower_engine.authoring.workflow import Prepared, Workflow

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class Client:
    """The API as Python has it: every call is done once however often it must be sent, and fails with an
    error of Flower. Any number of threads may share one; a fork may go on with it."""

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
        self._session = BlockingSession(session_settings(self.url, token or own_token(), "python"))
        self.workflows = Workflows(self)
        self.schedules = Schedules(self)
        self.backfills = Backfills(self, retry_seconds)

    @overload
    def register(
        self, workflow: "Workflow[P, R] | Prepared[P, R]", /, *args: P.args, **parameters: P.kwargs
    ) -> "FlowHandle[R]": ...

    @overload
    def register(self, workflow: str | NamedWorkflow, /, **parameters: Any) -> "FlowHandle[Any]": ...

    def register(self, workflow: Any, /, *args: Any, **parameters: Any) -> "FlowHandle[Any]":
        """Starts a flow of a workflow, with these parameters: of one in Python, with or without options of
        ``.having``, whose parameters are checked here, or of one given by its name (see :func:`named`).

        Raises:
            UnknownWorkflowError, DefinitionError, ParametersError, KeyConflictError, FlowLimitError: it
                cannot be started.
            ApiUnavailableError, AuthError: nobody took it.
        """
        wanted: Registration[Any] = registration(workflow, *args, **parameters)
        return self._handle(wanted, self.run(flow_calls.register(wanted, self.patience())))

    def register_many(self, wanted: Iterable[Registration[R]]) -> "list[FlowHandle[R]]":
        """Starts many flows (see :func:`registration`), 1,000 a request; their handles, in order.

        Raises:
            NotRegisteredError: some were refused; has the errors, and the handles of the others.
        """
        flows = list(wanted)
        registered, refused = self.run(flow_calls.register_many(flows, self.patience()))
        handles = {place: self._handle(flows[place], registered[place]) for place in sorted(registered)}
        if refused:
            raise flow_calls.not_registered(refused, handles)
        return list(handles.values())

    @overload
    def flow(self, flow: str, workflow: "Workflow[P, R]") -> "FlowHandle[R]": ...

    @overload
    def flow(self, flow: str, workflow: type[R]) -> "FlowHandle[R]": ...

    @overload
    def flow(self, flow: str) -> "FlowHandle[Any]": ...

    def flow(self, flow: str, workflow: Any = Any) -> "FlowHandle[Any]":
        """A flow that is there already, by its id; with the workflow in Python that it is of, or the type of
        its result, if that is to be more than plain JSON. No call is made."""
        return FlowHandle(self, flow, result_type_of(workflow))

    def flows(
        self,
        workflow: str | None = None,
        status: StatusWord | Sequence[StatusWord] | None = None,
        *,
        schedule: str | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        limit: int | None = None,
    ) -> Iterator[FlowEntry]:
        """Flows, newest first, as they are projected; page after page, as far as one reads. ``schedule``:
        only those that it fired, also if it is gone."""
        query = flows_query(workflow, status, FlowTimes(since, until), limit, schedule)
        left, cursor = limit, ""
        while True:
            page, cursor = self.run(
                flow_calls.flows_page({**query, "cursor": cursor or None}, self.patience())
            )
            yield from page[:left]
            left = None if left is None else left - len(page)
            if cursor is None or (left is not None and left <= 0):
                return

    def signal(
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
        return self.run(wait_calls.signal_all(body, self.patience()))

    def kept_signals(self) -> Iterator[KeptSignal]:
        """The signals that are kept for flows that come to await them, the oldest first."""
        cursor = None
        while True:
            page, cursor = self.run(wait_calls.kept_page(cursor, self.patience()))
            yield from page
            if cursor is None:
                return

    def delete_signal(self, signal_id: str) -> bool:
        """Keeps a signal no more; flows that took it keep it. False if it was not kept (any more)."""
        return self.run(wait_calls.delete_kept(signal_id, self.patience()))

    def approvals(
        self,
        workflow: str | None = None,
        *,
        role: str | None = None,
        name: str | None = None,
        mine: bool = False,
        limit: int | None = None,
    ) -> Iterator[Approval]:
        """Approvals that wait for an answer, those that were asked last first, page after page: of a
        workflow; that ask for a name or role; that somebody of this ``name`` may answer and has not yet, or
        (``mine``) whose token this is."""
        query = {"taskId": workflow, "role": role, "for": name, "mine": "true" if mine else None}
        left, cursor = limit, ""
        while True:
            query |= {"cursor": cursor or None, "limit": str(min(left or 1_000, 1_000))}
            page, cursor = self.run(wait_calls.approvals_page(query, self.patience()))
            yield from page[:left]
            left = None if left is None else left - len(page)
            if cursor is None or (left is not None and left <= 0):
                return

    def audit(
        self,
        *,
        by: str | None = None,
        what: Sequence[str] = (),
        flow: str | None = None,
        workflow: str | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        limit: int | None = None,
    ) -> Iterator[Act]:
        """What people did, the newest first, page after page: by one of them; only ``what`` is an act
        (``flow.cancelled``) or begins so (``schedule``); to a flow, or to what is of a workflow."""
        asked = {"by": by, "what": list(what) or None, "taskFlowId": flow, "taskId": workflow}
        query: dict[str, Any] = {**asked, "since": time_text(since), "until": time_text(until)}
        left, cursor = limit, ""
        while True:
            query |= {"cursor": cursor or None, "limit": str(min(left or 1_000, 1_000))}
            page, cursor = self.run(audit_calls.audit_page(query, self.patience()))
            yield from page[:left]
            left = None if left is None else left - len(page)
            if cursor is None or (left is not None and left <= 0):
                return

    def workers(self) -> list[Worker]:
        """The live workers."""
        return self.run(flow_calls.workers(self.patience()))

    def close(self) -> None:
        """Ends its connections; no call works any more."""
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<flower Client of {self.url}>"

    def run(self, steps: Steps[T]) -> T:
        """Makes a call of ``flow_calls.py`` or ``workflow_calls.py``."""
        return self._session.run(steps)

    def streamed(self, request: Request) -> Generator[str | Answer | Unreached]:
        """The lines of an answer as they come; or why there are none (any more)."""
        return self._session.streamed(request)

    def patience(self) -> Patience:
        """That of one call."""
        return Patience(self.retry_seconds)

    def _handle(self, wanted: Registration[R], made: flow_calls.Registered) -> "FlowHandle[R]":
        return FlowHandle(self, made.flow, wanted.result_type, is_duplicate=made.is_duplicate)
