"""``/partitions``: how each stands, and retiring those that were added."""

from typing import Annotated, Literal, Self

from fastapi import FastAPI, Path, Request
from starlette.responses import Response

from flower_api.access import by_of
from flower_api.openapi import replies, reply
from flower_api.schemas import View
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.model.values.ids import MAX_PARTITIONS
from flower_engine.runtime.partition_standings import PartitionStanding, partition_standings
from flower_engine.runtime.retiring_partitions import keep_partition, retire_partition

NumberPath = Annotated[int, Path(ge=0, lt=MAX_PARTITIONS, description="The partition.")]
_PROBLEMS = (404, 409, 422, 503)


class PartitionView(View):
    """``flows``: how many are open, as far as that is projected; ``unprojected``: events that are not in
    Postgres yet (null: it does not answer); ``node``: of a cluster, where it is; ``problem``: why it cannot
    be worked on; ``state``: `retiring` (it gets no new flows), `retired` (it was taken away), or empty."""

    partition: int
    flows: int
    unprojected: int | None
    node: str
    problem: str
    state: Literal["", "retiring", "retired"]

    @classmethod
    def of(cls, found: PartitionStanding) -> Self:
        return cls(**{field: getattr(found, field) for field in PartitionStanding.__struct_fields__})


class PartitionsView(View):
    """Every partition that there ever was, by number."""

    partitions: list[PartitionView]


def add_partition_routes(app: FastAPI, stores: PostgresStores) -> None:
    """Adds the routes that show and retire partitions."""

    @app.get(
        "/partitions",
        summary="List partitions",
        responses=replies({200: (PartitionsView, "All that there ever were")}, problems=(503,)),
    )
    async def get_partitions() -> Response:
        return await _shown(stores)

    @app.post(
        "/partitions/{number}/retire",
        summary="Retire a partition",
        responses=replies(
            {200: (PartitionsView, "It gets no new flows, and goes when it is empty")}, problems=_PROBLEMS
        ),
    )
    async def retire(number: NumberPath, request: Request) -> Response:
        """What is under way in it ends there. When nothing is left that has not ended, and all of it is in
        Postgres, a projector takes it away. Those that there were at first cannot be retired."""
        async with stores.primary() as connection:
            await retire_partition(stores.redis, connection, number, by_of(request))
        return await _shown(stores)

    @app.post(
        "/partitions/{number}/keep",
        summary="Keep a partition that was to be retired",
        responses=replies({200: (PartitionsView, "It gets new flows again")}, problems=_PROBLEMS),
    )
    async def keep(number: NumberPath, request: Request) -> Response:
        """Takes back that it is retired, as long as it was not taken away."""
        async with stores.primary() as connection:
            await keep_partition(stores.redis, connection, number, by_of(request))
        return await _shown(stores)


async def _shown(stores: PostgresStores) -> Response:
    async with stores.primary() as connection:
        found = await partition_standings(stores.redis, connection)
    return reply(PartitionsView([PartitionView.of(one) for one in found]))
