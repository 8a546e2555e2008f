"""``POST /flows/{id}/pause``, ``resume`` and ``priority``: whether and when tasks of a flow start at all."""

from fastapi import FastAPI, Request
from pydantic import Field
from starlette.responses import Response

from flower_api.operation_answers import MayBeDry, WithReason, foretold, operator_of, replied, responses
from flower_api.path_ids import FlowIdPath
from flower_api.schemas import KeyHeader
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.model.tasks.task_spec import MAX_PRIORITY, MIN_PRIORITY


class PauseBody(WithReason, MayBeDry):
    """Why the flow is held."""


class PriorityBody(MayBeDry):
    """Another priority for all tasks of a flow."""

    priority: int = Field(ge=MIN_PRIORITY, le=MAX_PRIORITY, description="the lower goes first")


def add_holding(app: FastAPI, stores: PostgresStores) -> None:
    """Adds these routes."""

    @app.post(
        "/flows/{task_flow_id}/resume",
        summary="Make a flow go on",
        responses=responses("The pause is lifted, or what failed runs again"),
    )
    async def post_resume(
        task_flow_id: FlowIdPath, request: Request, body: MayBeDry | None = None, key: KeyHeader = None
    ) -> Response:
        """Lifts a pause; else reruns what failed, and of a cancelled flow what the cancel cut off.

        `operation` says which.
        """
        if body is not None and body.dry_run:
            operates = operator_of(stores, request, task_flow_id, body, key)
            return await foretold(stores, task_flow_id, *await operates.effect_of_resume(), operates)
        operation, done = await (operates := operator_of(stores, request, task_flow_id, body, key)).resume()
        return replied(task_flow_id, operation, done, operates)

    @app.post("/flows/{task_flow_id}/pause", summary="Pause a flow", responses=responses("It is paused"))
    async def post_pause(
        task_flow_id: FlowIdPath, request: Request, body: PauseBody | None = None, key: KeyHeader = None
    ) -> Response:
        """What runs may end, nothing new starts until it is resumed."""
        operates = operator_of(stores, request, task_flow_id, body, key)
        if body is not None and body.dry_run:
            return await foretold(stores, task_flow_id, "pause", await operates.effect_of_pause(), operates)
        done = await operates.pause(body.reason if body else "")
        return replied(task_flow_id, "pause", done)

    @app.post(
        "/flows/{task_flow_id}/priority",
        summary="Change a flow's priority",
        responses=responses("Its tasks have it"),
    )
    async def post_priority(
        task_flow_id: FlowIdPath, request: Request, body: PriorityBody, key: KeyHeader = None
    ) -> Response:
        """All its tasks have this priority from now on; what waits moves at once."""
        operates = operator_of(stores, request, task_flow_id, body, key)
        if body.dry_run:
            effect = await operates.effect_of_priority(body.priority)
            return await foretold(stores, task_flow_id, "priority", effect, operates)
        done = await operates.prioritise(body.priority)
        return replied(task_flow_id, "priority", done)
