"""Replay and verification of an archive: ``python -m benchmarks.replay [EVENTS]`` (1,000,000 by default).

A private Postgres is given the history of flows of three tasks, all at their end, through the
projection's own writer; then ``flower replay`` (onto empty tables, and onto right ones) and the
comparison are timed.
"""

import asyncio
import resource
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from flower_bench.environment import describe_environment
from flower_engine.embedded.home import Home
from flower_engine.embedded.postgres import EmbeddedPostgres
from flower_engine.log.entries import LogEntry
from flower_engine.model.definitions.definition import TaskDefinition, WorkflowDefinition, plan_flow
from flower_engine.model.events.attempt_events import TaskFinished, TaskStarted
from flower_engine.model.events.events import FlowRegistered, encode_event
from flower_engine.model.values.ids import make_flow_id
from flower_engine.projection.database import connect
from flower_engine.projection.maintain.migrations import migrate
from flower_engine.projection.maintain.replay import Selection, rebuild_tables
from flower_engine.projection.maintain.table_comparison import find_differences, swap_in
from flower_engine.projection.write.batch import make_batch
from flower_engine.projection.write.projected_positions import Projected, add_positions
from flower_engine.projection.write.writer import Writer, prepare_session
from flower_engine.runtime.garbage import collect_rarely

EVENTS_A_FLOW = 7
BATCH_FLOWS = 700
RESULTS = Path(__file__).parent / "results"


_TASKS = plan_flow(
    WorkflowDefinition(
        name="bench", tasks=tuple(TaskDefinition(task_seq=seq, program="noop") for seq in (1, 2, 3))
    )
)


def _flow(number: int, at: int) -> list[bytes]:
    flow = make_flow_id(at, 0, number)
    events = [
        encode_event(FlowRegistered(at=at, flow=flow, v=1, workflow="bench", order=number * 3, tasks=_TASKS))
    ]
    for seq in (1, 2, 3):
        lease = f"{at}-{seq}"
        started = TaskStarted(
            at=at + seq, flow=flow, v=2 * seq, task=seq, attempt=1, lease=lease, worker="bench-worker"
        )
        finished = TaskFinished(
            at=at + seq, flow=flow, v=2 * seq + 1, task=seq, attempt=1, lease=lease, ends=seq == 3
        )
        events += (encode_event(started), encode_event(finished))
    return events


async def archive(url: str, flows: int) -> None:
    """Gives a new database the history of so many flows, all at their end."""
    began_ms = int(time.time() * 1000) - flows
    async with await connect(url, "bench") as connection:
        await migrate(connection)
        held = Projected(partition=0, position=None, installation="bench", generation="1", partitions=1)
        await add_positions(connection, [held])
        await prepare_session(connection)
        writer = Writer(connection, held)
        for first in range(0, flows, BATCH_FLOWS):
            entries = [
                LogEntry(f"{began_ms + number}-{seq}", raw)
                for number in range(first, min(flows, first + BATCH_FLOWS))
                for seq, raw in enumerate(_flow(number, began_ms + number))
            ]
            assert await writer.write(await make_batch(0, entries))


async def _time(url: str, what: str, events: int) -> str:
    chosen, began = Selection(), time.monotonic()
    async with await connect(url, "replay") as connection, await connect(url, "reader") as reader:
        building = rebuild_tables(
            connection, reader, chosen, lambda _what, _done, _total: None, at_one_moment=what == "verify"
        )
        async with building as (replaying, rebuilt):
            built = time.monotonic()
            if what == "verify":
                found = [one async for one in find_differences(connection, rebuilt, chosen)]
                outcome = f"{len(found)} differences"
            else:
                merged = await swap_in(connection, replaying, rebuilt, chosen)
                outcome = f"{merged.written:,} rows written"
    ended = time.monotonic()
    memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    assert rebuilt.events == events
    return (
        f"| {what} | {ended - began:.1f} | {built - began:.1f} | {events / (ended - began):,.0f}"
        f" | {memory_mb:.0f} | {outcome} |"
    )


async def _run(url: str, events: int) -> list[str]:
    flows = events // EVENTS_A_FLOW
    events = flows * EVENTS_A_FLOW
    first_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    await archive(url, flows)
    archived_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    lines = [
        f"{events:,} events of {flows:,} flows; peak memory {first_mb:.0f} MB, {archived_mb:.0f} MB archived"
    ]
    lines += [
        "",
        "| what | s | of it building, s | events/s | peak memory, MB | outcome |",
        "|---|---|---|---|---|---|",
    ]
    lines.append(await _time(url, "replay onto right tables", events))
    lines.append(await _time(url, "verify", events))
    async with await connect(url, "bench") as connection:
        await connection.execute("TRUNCATE kr_task_stat, kr_flow_stat")
    lines.append(await _time(url, "replay onto empty tables", events))
    return lines


def main() -> None:
    collect_rarely()  # as the command does
    events = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory(prefix="flower-bench-") as folder, Home(Path(folder)) as home:
        postgres = EmbeddedPostgres(home)
        url = postgres.start()
        try:
            lines = asyncio.run(_run(url, events))
        finally:
            postgres.stop()
    text = "\n".join([
        *(f"- {name}: {value}" for name, value in describe_environment().items()), "", *lines, ""
    ])  # fmt: skip
    print(text)
    (RESULTS / f"{datetime.now(UTC):%Y-%m-%d-%H%M%S}-replay.md").write_text(text)


if __name__ == "__main__":
    main()
