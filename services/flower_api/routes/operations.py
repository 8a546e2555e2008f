"""``POST /flows/{id}/...``: what operators do to one flow."""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

from fastapi import FastAPI, Request
from pydantic import Field
from starlette.responses import Response

from flower_api.access import by_of
from flower_api.openapi import reply
from flower_api.operation_answers import (
    MayBeDry,
    Operation,
    WithReason,
    foretold,
    operator_of,
    replied,
    responses,
)
from flower_api.path_ids import FlowIdPath
from flower_api.problems import Fault, with_faults
from flower_api.schemas import KeyHeader, RequestBody, Tasks, WorkflowVersion
from flower_engine.flows.forks import Forking, effect_of_forking, fork
from flower_engine.flows.operation_views import ForkedView, told_of_fork
from flower_engine.flows.parameter_changes import Change, asked_changes
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.flows.stand_ins import stand_in
from flower_engine.flows.task_numbers import Task, numbers_of
from flower_engine.flows.tree_operations import TreeOperator

_PARAMETERS = "new values of parameters, for all selected tasks"
_UNSET = "parameters to take away from those of the tasks that have them"
Names = Annotated[list[Annotated[str, Field(max_length=10_000)]], Field(max_length=1_000)]
_TASK_PARAMETERS = "by taskExecSeq, or by name: new values of parameters of one task"


class WithParameters(RequestBody):
    """An operation that may change parameters of the tasks that it is for."""

    parameters: dict[str, Any] = Field({}, description=_PARAMETERS)
    task_parameters: dict[str, dict[str, Any]] = Field({}, description=_TASK_PARAMETERS)
    unset: Names = Field([], description=_UNSET)


class CancelBody(WithReason, MayBeDry):
    """Why the flow is to end."""

    came_later: ClassVar[frozenset[str]] = frozenset()


class RerunBody(MayBeDry, WithParameters):
    """What is to run again: `tasks` by taskExecSeq or name, or a `selection`."""

    came_later: ClassVar[frozenset[str]] = frozenset()
    tasks: Tasks | None = None
    selection: Literal["failed", "all"] | None = None
    scope: Literal["only", "dependents", "changed"] | None = Field(
        None,
        description="dependents: all that depends on them, too; only: whatever dependents have; absent: what"
        " read their results, too, and refused where another dependent would keep a result of the old run;"
        " changed: what read their results, too, and of maps that are expanded anew only new items and those"
        " that are given something else",
    )
    keep_answers: bool = Field(
        False,
        description="waits (sleeps, events, approvals) that have ended and are not named keep what came of"
        " them; else they ask anew",
    )
    new_children: bool = Field(
        False,
        description="tasks that are held because of their children begin others; else what failed within the"
        " children runs again",
    )
    up: bool = Field(
        False,
        description="of a child whose parent's task has ended: that task awaits it again, and what depends on"
        " it runs again, too; else that is refused",
    )
    workflow_version: WorkflowVersion | None = Field(
        None,
        description="what runs again has the bodies of this version of the workflow from then on, which must"
        " have the same tasks and edges as the flow; absent: as they are",
    )


class ForkBody(MayBeDry, WithParameters):
    """Where the new flow begins: these tasks and all behind them run; with another version of the workflow
    also what is not as the flow has done it."""

    from_tasks: Tasks | None = Field(None, description="needed without workflowVersion")
    workflow_version: WorkflowVersion | None = Field(
        None,
        description="another version of the workflow: only what is unchanged in it, together with all before"
        " it, is taken over; absent: the flow's own",
    )
    flow_parameters: dict[str, Any] = Field(
        {}, description="with workflowVersion: parameters of the new flow, in place of those of the old one"
    )


class IgnoreBody(WithReason, MayBeDry):
    """The tasks to pass over."""

    came_later: ClassVar[frozenset[str]] = frozenset()
    tasks: Tasks
    result: Any = Field(
        None,
        description="what those get that read the result of the task (one only), of any JSON type; absent:"
        " refused where another task cannot do without it, unless there is a cascade",
    )
    cascade: bool = Field(
        False, description="and all that cannot do without the result of one that is passed over"
    )


class UnignoreBody(MayBeDry):
    """The tasks that are to wait again."""

    tasks: Tasks


def add_operations(app: FastAPI, stores: PostgresStores) -> None:
    """Adds the routes of operators."""

    def operator(request: Request, flow_id: str, body: Operation | None, key: str | None) -> TreeOperator:
        return operator_of(stores, request, flow_id, body, key)

    async def numbered(flow_id: str, tasks: Sequence[Task]) -> list[int]:
        return (await numbers_of(stores, flow_id.lower(), tasks)).of(tasks)

    async def asked(
        flow_id: str, tasks: Sequence[Task], body: WithParameters
    ) -> tuple[list[int], dict[int, Change]]:
        """The tasks by number, and what is to change of their parameters."""
        numbers = await numbers_of(stores, flow_id.lower(), tasks, body.task_parameters)
        own, of_tasks = numbers.of(tasks), numbers.by_number(body.task_parameters)
        return own, asked_changes(own, body.parameters, of_tasks, body.unset)

    @app.post(
        "/flows/{task_flow_id}/rerun",
        summary="Run tasks again",
        responses=responses("They wait from the start again"),
    )
    async def post_rerun(
        task_flow_id: FlowIdPath, body: RerunBody, request: Request, key: KeyHeader = None
    ) -> Response:
        """Also for a flow that has ended. Attempts count on, earlier ones stay in the history.

        `tree`: what becomes of other flows of its tree.
        """
        if (body.tasks is None) == (body.selection is None):
            raise with_faults(
                "invalid-request", "the request is wrong", [Fault(detail="give tasks or selection")]
            )
        tasks, changes = await asked(task_flow_id, body.tasks or [], body)
        selection = tasks or body.selection
        operates = operator(request, task_flow_id, body, key)
        said = _of_rerun(body)
        wanted = (selection, body.scope or "", changes, _version_of(body))
        if body.dry_run:
            effect = await operates.effect_in_tree(*wanted, **said)
            return await foretold(stores, task_flow_id, "rerun", effect, operates)
        return replied(task_flow_id, "rerun", await operates.rerun(*wanted, **said), operates)

    @app.post(
        "/flows/{task_flow_id}/fork",
        summary="Run from a task on, as a new flow",
        responses=responses("The new flow; of a dry run its tasks, by their numbers there", ForkedView, 429),
    )
    async def post_fork(
        task_flow_id: FlowIdPath, body: ForkBody, request: Request, key: KeyHeader = None
    ) -> Response:
        """What is final in this flow and not behind those tasks is taken over with its result.

        With `workflowVersion` only what is unchanged in that version, together with all before it.
        """
        _refuse_half(body)
        tasks, changes = await asked(task_flow_id, body.from_tasks or [], body)
        wanted = Forking(
            flow=task_flow_id.lower(),
            tasks=tasks,
            changes=changes,
            key=key or "",
            version=_version_of(body),
            parameters=body.flow_parameters,
            seen=body.version,
        )
        if not body.dry_run:
            return reply(await fork(stores, wanted, by_of(request)))
        told = await effect_of_forking(stores, wanted)
        return reply(told_of_fork(task_flow_id.lower(), told))

    @app.post(
        "/flows/{task_flow_id}/ignore",
        summary="Pass over tasks",
        responses=responses("They are Ignore, and what depends on them goes on"),
    )
    async def post_ignore(
        task_flow_id: FlowIdPath, body: IgnoreBody, request: Request, key: KeyHeader = None
    ) -> Response:
        """Waiting, retrying and suspended tasks."""
        tasks = await numbered(task_flow_id, body.tasks)
        result = stand_in(body.result) if "result" in body.model_fields_set else b""
        operates = operator(request, task_flow_id, body, key)
        if body.dry_run:
            effect = await operates.effect_of_ignore(tasks, has_result=bool(result), cascade=body.cascade)
            return await foretold(stores, task_flow_id, "ignore", effect, operates)
        done = await operates.ignore(tasks, body.reason, result, cascade=body.cascade)
        return replied(task_flow_id, "ignore", done)

    @app.post(
        "/flows/{task_flow_id}/unignore",
        summary="Take an ignore back",
        responses=responses("They wait again"),
    )
    async def post_unignore(
        task_flow_id: FlowIdPath, body: UnignoreBody, request: Request, key: KeyHeader = None
    ) -> Response:
        """While nothing that depends on them has started."""
        tasks = await numbered(task_flow_id, body.tasks)
        operates = operator(request, task_flow_id, body, key)
        if body.dry_run:
            effect = await operates.effect_of_unignore(tasks)
            return await foretold(stores, task_flow_id, "unignore", effect, operates)
        done = await operates.unignore(tasks)
        return replied(task_flow_id, "unignore", done)

    @app.post(
        "/flows/{task_flow_id}/cancel",
        summary="Cancel a flow",
        responses=responses("It has ended"),
    )
    async def post_cancel(
        task_flow_id: FlowIdPath, request: Request, body: CancelBody | None = None, key: KeyHeader = None
    ) -> Response:
        """Nothing new starts; running attempts are told to stop with the next heartbeat."""
        operates = operator(request, task_flow_id, body, key)
        if body is not None and body.dry_run:
            return await foretold(stores, task_flow_id, "cancel", await operates.effect_of_cancel(), operates)
        done = await operates.cancel(body.reason if body else "")
        return replied(task_flow_id, "cancel", done)


def _refuse_half(body: ForkBody) -> None:
    """For a fork that does not say where it begins, or of which version the flow's parameters are."""
    faults: list[Fault] = []
    if body.from_tasks is None and body.workflow_version is None:
        faults.append(Fault(detail="give fromTasks, or workflowVersion"))
    if body.flow_parameters and body.workflow_version is None:
        detail = "parameters of the flow need a workflowVersion, which may be the flow's own"
        faults.append(Fault(detail=detail, pointer="#/flowParameters"))
    if faults:
        raise with_faults("invalid-request", "the request is wrong", faults)


def _of_rerun(body: RerunBody) -> dict[str, Any]:
    children = "anew" if body.new_children else "ask"
    return {"keep_answers": body.keep_answers, "children": children, "is_up": body.up}


def _version_of(body: RerunBody | ForkBody) -> str:
    """The version of the workflow that is asked for; "": none."""
    return "" if body.workflow_version is None else str(body.workflow_version)
