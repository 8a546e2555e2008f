"""Approvals that wait for an answer: across all flows, and one of them with all that is shown beside its
form."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import msgspec

from flower_engine.errors import ParameterError, RefusedError
from flower_engine.flows.flow_results import value_of
from flower_engine.flows.history import find_flow, number_in
from flower_engine.flows.result_blobs import read_blob
from flower_engine.flows.stores import Stores
from flower_engine.model.parameters.references import (
    NoValueError,
    holds_references,
    known_value,
    resolved_value,
    scan,
)
from flower_engine.model.tasks.status import Status
from flower_engine.model.values.quoting import short
from flower_engine.model.waits.approval_terms import Asked
from flower_engine.model.waits.wait_parameters import APPROVAL
from flower_engine.projection.database import Connection
from flower_engine.projection.read.asked_approvals import ApprovalCursor, AskedRow, list_asked, results_of
from flower_engine.projection.read.view_fields import Moment, View, moment
from flower_engine.projection.read.views import FlowView, TaskView

_MOST_LOOKED_AT = 5_000
_TEXTS = ("title", "text")


class ApprovalFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which approvals are asked for; None asks for all. ``role``: those that name it; ``name``: those that
    somebody of this name may answer, who has the ``roles``, and has not answered yet."""

    workflow: str | None = None
    role: str | None = None
    name: str | None = None
    roles: frozenset[str] = frozenset()

    @property
    def is_plain(self) -> bool:
        """Whether what the tables have as columns is all that is asked for."""
        return self.role is None and self.name is None

    def matches(self, asked: Asked, registered_by: str, answered_by: list[str]) -> bool:
        """Whether an approval is among them."""
        if self.role is not None and not asked.asks_role(self.role):
            return False
        if self.name is None:
            return True
        return self.name not in answered_by and asked.refusal(self.name, self.roles, registered_by) is None


class ApprovalView(View):
    """An approval that waits for an answer. `title` and `text` are null where they are not given, or need
    what is not there; `roles`: names or roles of tokens that may answer (none: whoever may operate); `of`:
    how many names must; `answeredBy`: who has; `attempt`: the one in which it is asked, for the answer;
    `until`: when it has waited too long (null: never), and then `onTimeout`."""

    task_flow_id: str
    task_id: str
    task_exec_seq: int
    task_seq: int
    task_name: str | None
    attempt: int
    title: str | None
    text: str | None
    form: Any
    roles: list[str]
    of: int
    answered_by: list[str]
    not_registrant: bool
    registered_by: str
    since: Moment
    until: Moment | None
    on_timeout: str
    is_paused: bool


class ApprovalDetail(ApprovalView):
    """An approval with what it shows beside its form; where some of that cannot be told, `problems` say
    so."""

    shows: Any
    problems: list[str]
    is_asked: bool
    version: int


async def list_approvals(
    connection: Connection, asked: ApprovalFilter, *, behind: ApprovalCursor | None, limit: int
) -> tuple[list[ApprovalView], ApprovalCursor | None]:
    """Up to ``limit`` approvals, those that were asked last first, and where the list goes on (None: it is
    all).

    A page may be short, even empty, and still not be the last.
    """
    found: list[tuple[AskedRow, dict[str, Any], Asked, list[str]]] = []
    looked_at = 0
    end: ApprovalCursor | None = behind
    while True:
        page = min(500, limit - len(found)) if asked.is_plain else 500
        rows = await list_asked(connection, asked.workflow, behind=end, limit=page + 1)
        for row in rows[:page]:
            said: dict[str, Any] = msgspec.json.decode(row.parameters)
            answered_by: list[str] = msgspec.json.decode(row.votes)
            about = Asked.of_parameters(_known(said))
            end = row.cursor
            if asked.matches(about, row.registered_by, answered_by):
                found.append((row, said, about, answered_by))
                if len(found) == limit:
                    break
        looked_at += len(rows)
        is_all = len(rows) <= page and (not rows or end == rows[-1].cursor)
        if is_all or len(found) == limit or looked_at >= _MOST_LOOKED_AT:
            break
    wanted = [
        (row.flow, use.form.name)
        for row, said, _, _ in found
        for name in _TEXTS
        for use in scan(said.get(name)).uses
    ]
    results = await results_of(connection, wanted)
    views = [_view(row, said, about, by, results) for row, said, about, by in found]
    return views, None if is_all else end


def _view(
    row: AskedRow,
    said: dict[str, Any],
    about: Asked,
    answered_by: list[str],
    results: dict[tuple[str, str], str],
) -> ApprovalView:
    def read(name: str) -> Any:
        if (row.flow, name) not in results:
            raise NoValueError(name)
        return msgspec.json.decode(results[row.flow, name])

    return ApprovalView(
        task_flow_id=row.flow,
        task_id=row.workflow,
        task_exec_seq=row.task,
        task_seq=row.task_seq,
        task_name=row.task_name,
        attempt=row.attempt,
        title=_text(said.get("title"), read),
        text=_text(said.get("text"), read),
        form=about.form,
        roles=list(about.roles),
        of=about.of,
        answered_by=answered_by,
        not_registrant=about.not_registrant,
        registered_by=row.registered_by,
        since=moment(row.since_ms),
        until=moment(row.until_ms) if row.until_ms else None,
        on_timeout=about.on_timeout,
        is_paused=row.is_paused,
    )


async def find_approval(stores: Stores, flow_id: str, task: int | str) -> ApprovalDetail:
    """An approval of a flow with what it shows, whether it is asked now or not.

    Raises:
        UnknownFlowError: there is no such flow.
        UnknownTaskError: it has no such task.
        RefusedError: the task is no approval.
    """
    flow = await find_flow(stores, flow_id)
    return await approval_of(flow, number_in(flow, task), partial(read_blob, stores), stores)


async def approval_of(
    flow: FlowView, seq: int, fetch: Callable[[Any], Awaitable[bytes]], stores: Stores
) -> ApprovalDetail:
    """The approval that is this task of the flow.

    Raises:
        RefusedError: the task is none.
    """
    task = flow.tasks[seq - 1]
    if task.program != APPROVAL:
        raise RefusedError(
            f"flow {flow.task_flow_id}: task {seq} runs {short(task.program)!r}; it is no approval",
            "no-approval",
        )
    said: dict[str, Any] = msgspec.json.decode(task.parameters)
    about = Asked.of_parameters(_known(said))
    problems: list[str] = []
    values: dict[str, Any] = {}
    for name in (*_TEXTS, "shows"):
        if name not in said:
            continue
        try:
            what = f"{name!r} of task {task.task_name or seq}"
            content = await value_of(said[name], flow, fetch, stores.blob_readers, what)
            values[name] = msgspec.json.decode(content)
        except ParameterError as error:
            problems.append(str(error))
    awaiting = task.awaiting
    return ApprovalDetail(
        task_flow_id=flow.task_flow_id,
        task_id=flow.task_id,
        task_exec_seq=seq,
        task_seq=task.task_seq,
        task_name=task.task_name,
        attempt=task.attempt,
        title=_as_text(values.get("title")),
        text=_as_text(values.get("text")),
        form=about.form,
        roles=list(about.roles),
        of=about.of,
        answered_by=awaiting.answered_by if awaiting is not None else _answered(task),
        not_registrant=about.not_registrant,
        registered_by=flow.registered_by or "",
        since=awaiting.since if awaiting is not None else task.registered_ts,
        until=awaiting.until if awaiting is not None else None,
        on_timeout=about.on_timeout,
        is_paused=flow.paused_ts is not None,
        shows=values.get("shows"),
        problems=problems,
        is_asked=awaiting is not None,
        version=flow.version,
    )


def _answered(task: TaskView) -> list[str]:
    """Who has answered one that is over."""
    if task.exec_status != Status.FINISH:
        return []
    try:
        return msgspec.json.decode(task.result, type=_Answer).by
    except msgspec.MsgspecError:  # its default, or what somebody gave in its place
        return []


class _Answer(msgspec.Struct):
    by: list[str]


def _known(said: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, one in said.items() if (value := known_value(one)) is not None}


def _text(said: Any, read: Callable[[str], Any]) -> str | None:
    if not holds_references(said):
        return _as_text(said)
    try:
        return _as_text(resolved_value(said, read, _no_secret, "it"))
    except ParameterError:
        return None


def _as_text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else msgspec.json.encode(value).decode()


def _no_secret(name: str) -> str:
    raise ParameterError(f"it asks for the secret {name}")  # no definition may say so
