"""``/errors``: what failed, grouped by what is the same in it."""

from typing import Annotated

from fastapi import FastAPI, Query
from starlette.responses import Response

from flower_api.openapi import replies, reply
from flower_api.request_times import TimeText
from flower_api.schemas import WorkflowName
from flower_engine.flows.moments import time_of
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.projection.read.error_groups import ErrorGroups, group_errors


def add_errors(app: FastAPI, stores: PostgresStores) -> None:
    """Adds the route that groups failed tasks."""

    @app.get(
        "/errors",
        summary="Group the tasks that failed for good",
        responses=replies({200: (ErrorGroups, "The groups")}, problems=(422, 503)),
    )
    async def get_errors(
        workflow: Annotated[WorkflowName | None, Query(alias="taskId")] = None,
        since: Annotated[
            TimeText | None, Query(description="failed then or later; UTC where no offset is given")
        ] = None,
    ) -> Response:
        """By program, type of error and shape of message (its first line, without numbers, ids and what is
        quoted), the latest first; of the 20,000 tasks that failed last."""
        after = None if since is None else time_of(since, "since")
        async with stores.postgres() as connection:
            return reply(await group_errors(connection, workflow=workflow, since=after))
