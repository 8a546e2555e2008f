"""The floor: what the same two stores make, over redis-py and psycopg as they come, without Flower.

Machines differ and swing; figures of one run are read against the floors of the same run.
"""

import time

import msgspec

from flower_bench.deployment import Deployment
from flower_bench.figures import Floor
from flower_engine.log.client import AsyncRedis, send
from flower_engine.model.events.attempt_events import TaskFinished
from flower_engine.model.events.events import encode_event
from flower_engine.model.values.ids import make_flow_id

MESSAGES = 10_000
PIPELINE = 100
ROWS = 20_000
COPY_ROWS = 5_000
_STREAM, _GROUP, _CONSUMER = "flower-bench-floor", "group", "consumer"
_PAYLOAD = b"x" * 100
_TABLE = (
    "CREATE TABLE flower_bench_floor (partition integer, position_ms bigint, position_seq bigint,"
    " task_flow_id varchar(256), type text, event jsonb, raw bytea, error text)"
)
_DROP = "DROP TABLE IF EXISTS flower_bench_floor"


async def measure_floor(deployment: Deployment, when: str, *, is_quick: bool) -> Floor:
    """Both floors, on the deployment's stores; smaller ones where the run is a quick one."""
    # As redis-py comes: Flower's own connections are set up otherwise, and faster.
    async with AsyncRedis.from_url(deployment.redis_url) as client:  # pyright: ignore[reportUnknownMemberType]
        messages = await redis_floor(client, MESSAGES // 10 if is_quick else MESSAGES)
    return Floor(when, messages, await copy_floor(deployment, COPY_ROWS if is_quick else ROWS))


async def redis_floor(client: AsyncRedis, count: int) -> float:
    """Messages a second of XADD + XREADGROUP + XACK with redis-py asyncio, one pipeline of 100 at a time."""
    await send(client, "DEL", _STREAM)
    await send(client, "XGROUP CREATE", _STREAM, _GROUP, "0", "MKSTREAM")
    began = time.perf_counter()
    for _ in range(count // PIPELINE):
        adds = client.pipeline(transaction=False)
        for _ in range(PIPELINE):
            adds.xadd(_STREAM, {"e": _PAYLOAD})
        ids = await adds.execute()
        await send(
            client, "XREADGROUP", "GROUP", _GROUP, _CONSUMER, "COUNT", PIPELINE, "STREAMS", _STREAM, ">"
        )
        acks = client.pipeline(transaction=False)
        for message in ids:
            acks.xack(_STREAM, _GROUP, message)
        await acks.execute()
    seconds = time.perf_counter() - began
    await send(client, "DEL", _STREAM)
    return count / seconds


async def copy_floor(deployment: Deployment, count: int) -> float:
    """Rows a second of COPY, 5,000 a transaction, of the archive's rows into a table without indexes."""
    batches = [_rows(first) for first in range(0, count, COPY_ROWS)]
    async with await deployment.connect_postgres() as connection:
        await connection.execute(_DROP)
        await connection.execute(_TABLE)
        try:
            began = time.perf_counter()
            for rows in batches:
                async with (
                    connection.cursor() as cursor,
                    cursor.copy("COPY flower_bench_floor FROM STDIN") as copy,
                ):
                    await copy.write(rows)
            return count / (time.perf_counter() - began)
        finally:
            await connection.execute(_DROP)


def _rows(first: int) -> bytes:
    """Rows of kr_event in the text that COPY reads."""
    lines: list[bytes] = []
    for number in range(first, first + COPY_ROWS):
        at = 1_700_000_000_000 + number
        flow, lease = make_flow_id(at, 0, number), f"{at}-0"
        event = TaskFinished(
            at=at, flow=flow, v=3, task=1, attempt=1, lease=lease, result=msgspec.Raw(b"null")
        )
        fields = (b"0", str(at).encode(), b"0", flow.encode(), b"task.finished", encode_event(event))
        lines.append(b"\t".join((*fields, b"\\N", b"\\N")) + b"\n")
    return b"".join(lines)
