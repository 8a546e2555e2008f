"""``/top``: what the engine is busy with at this moment."""

import asyncio
from collections import Counter
from collections.abc import Sequence

from fastapi import FastAPI
from starlette.responses import Response

from flower_api.openapi import replies, reply
from flower_engine.errors import StoreUnavailableError
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.flows.unknown_names import Names
from flower_engine.insight.overview import LaneNow, Overview, read_overview
from flower_engine.log.each_partition import from_each
from flower_engine.log.partition import Partition
from flower_engine.model.flow_control.boards import limit_of_board, program_of_board
from flower_engine.model.flow_control.lanes import program_of_lane
from flower_engine.model.flow_control.limits import LimitValue, limits_tasks, parse_limit, setting_of
from flower_engine.projection.read.view_fields import View
from flower_engine.projection.write.projector_members import read_members
from flower_engine.store_faults import STORE_ERRORS

_MOST_LANES = 100
_PATIENCE_SECONDS = 2.0  # for Postgres, which the rest does not need


class QueueTop(View):
    """A queue: ready tasks, and leased ones."""

    queue: str
    waiting: int
    running: int


class LaneTop(View):
    """Ready tasks that are alike; ``first_seconds``: how long ago the flow of the next one was registered.
    ``set_aside_by`` names the limit that stops them, or the program that some workers do not serve."""

    queue: str
    priority: int
    workflow: str
    program: str
    key: str
    waiting: int
    first_seconds: float
    set_aside_by: str


class LimitTop(View):
    """A limit and its use; ``most`` is None where only a rate or a pause is set. ``key``: for this value of
    its parameter alone."""

    scope: str
    name: str
    key: str
    running: int
    most: int | None
    rate: int | None
    period_seconds: float | None
    is_paused: bool


class ProjectorTop(View):
    """A projector that lives: the partitions that it projects, and how many more it would take."""

    name: str
    partitions: list[int]
    wants: int


class TopView(View):
    """``lanes``: those with most tasks, and how many were left out; ``is_whole``: all were looked at.
    ``missing_partitions``: they stand still, and nothing of them is shown; ``retiring_partitions``: they get
    no new flows, and go when they are empty. ``projectors``: null where Postgres does not say."""

    queues: list[QueueTop]
    lanes: list[LaneTop]
    lanes_left_out: int
    is_whole: bool
    limits: list[LimitTop]
    starts_per_second: float
    finishes_per_second: float
    missing_partitions: list[int]
    retiring_partitions: list[int]
    projectors: list[ProjectorTop] | None


def add_top(app: FastAPI, stores: PostgresStores) -> None:
    """Adds the route."""
    names = Names(stores)

    @app.get(
        "/top",
        summary="What the engine is busy with",
        responses=replies({200: (TopView, "As it is at this moment")}, problems=(503,)),
    )
    async def get_top() -> Response:
        """Queues, the longest lanes, limits and what of them is in use, starts and finishes a second. Queues
        that definitions name are among them though no worker may ever have served them."""
        queues = await names.queues()

        async def look(partition: Partition) -> Overview:
            async with stores.log_readers:
                return await read_overview(stores.redis, partition, queues)

        found, projectors = await asyncio.gather(
            from_each(stores.redis, stores.living, look), _projectors(stores)
        )
        missing = sorted(stores.missing.keys() | found.away.keys())
        return reply(_view(found.in_order(), missing, sorted(stores.retiring), projectors))


async def _projectors(stores: PostgresStores) -> list[ProjectorTop] | None:
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS), stores.primary() as connection:
            live = await read_members(connection)  # a replica does not know whose sessions live
    except (*STORE_ERRORS, StoreUnavailableError):
        return None
    return [ProjectorTop(one.name, list(one.partitions), one.wants) for one in live]


def _view(
    found: Sequence[Overview],
    missing: list[int],
    retiring: list[int],
    projectors: list[ProjectorTop] | None,
) -> TopView:
    lanes = sorted(
        ((lane, one.now_ms) for one in found for lane in one.lanes), key=lambda pair: -pair[0].waiting
    )
    return TopView(
        queues=_queues(found),
        lanes=[_lane(lane, now_ms) for lane, now_ms in lanes[:_MOST_LANES]],
        lanes_left_out=max(0, len(lanes) - _MOST_LANES),
        is_whole=all(one.is_whole for one in found) and not missing,
        missing_partitions=missing,
        retiring_partitions=retiring,
        projectors=projectors,
        limits=_limits(found),
        starts_per_second=sum(1000 * one.starts / one.window_ms for one in found),
        finishes_per_second=sum(1000 * one.finishes / one.window_ms for one in found),
    )


def _queues(found: Sequence[Overview]) -> list[QueueTop]:
    waiting: Counter[str] = Counter()
    running: Counter[str] = Counter()
    for one in found:
        for queue in one.queues:
            waiting[queue.queue] += queue.waiting
            running[queue.queue] += queue.running
    return [QueueTop(queue, waiting[queue], running[queue]) for queue in sorted(waiting)]


def _lane(lane: LaneNow, now_ms: int) -> LaneTop:
    return LaneTop(
        queue=lane.queue,
        priority=lane.priority,
        workflow=lane.workflow,
        program=lane.program,
        key=lane.key,
        waiting=lane.waiting,
        first_seconds=max(0, now_ms - lane.first_ms) / 1000,
        set_aside_by=_board(lane.board),
    )


def _board(board: str) -> str:
    if not board:
        return ""
    program = program_of_board(board)
    if program is not None:
        return f"program {program_of_lane(program)}"
    return " ".join(filter(None, parse_limit(limit_of_board(board))))


def _limits(found: Sequence[Overview]) -> list[LimitTop]:
    rows: dict[str, LimitTop] = {}
    for one in found:
        keyed = [name for name in one.running if "/" in name]
        for limit in [*one.limits, *keyed]:
            text = one.limits.get(setting_of(limit))
            if text is None or not limits_tasks(limit):
                continue
            value = LimitValue.parse(text)
            scope, name, key = parse_limit(limit)
            row = rows.setdefault(limit, LimitTop(scope, name, key, 0, None, None, None, is_paused=False))
            row.running += one.running.get(limit, 0)
            row.most = row.most if value.most is None else (row.most or 0) + value.most
            row.rate = row.rate if value.rate is None else (row.rate or 0) + value.rate
            row.period_seconds = row.period_seconds if value.period_ms is None else value.period_ms / 1000
            row.is_paused = row.is_paused or value.is_paused
    return list(rows.values())
