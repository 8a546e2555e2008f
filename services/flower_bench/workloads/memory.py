"""Whether a worker's memory stays what it is over a million tasks."""

import asyncio
import statistics
from collections.abc import Sequence

import msgspec
import psutil

from flower_bench.definitions import line
from flower_bench.deployment import BULK_FLOWS, BenchError
from flower_bench.projection_watch import count_ended
from flower_bench.run import Run

_MOST_WAITING = 20_000
_WARM = 0.1


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """The resident memory of the workers on this machine, at the end and after the first tenth."""

    name: str = "memory"
    about: str = "worker memory over 1,000,000 tasks; minutes, so only when it is named"
    needs: tuple[str, ...] = ()
    is_slow: bool = True

    async def run(self, run: Run) -> None:
        deployment = run.deployment
        workflow = deployment.name(self.name)
        await deployment.define(workflow, line(3))
        await deployment.serve()
        workers = deployment.processes().get("worker", ())
        if not workers:
            raise BenchError("no worker runs on this machine, so its memory cannot be read")
        flows = run.plan.size(334_000, 3_000)
        samples: list[tuple[int, float]] = []
        async with await deployment.connect_postgres() as connection:
            registered, ended = 0, 0
            while ended < flows:
                if registered < flows and registered - ended < _MOST_WAITING:
                    await deployment.register_many(workflow, min(BULK_FLOWS, flows - registered))
                    registered += BULK_FLOWS
                else:
                    await asyncio.sleep(0.2)
                ended = await count_ended(connection, workflow)
                samples.append((ended, _resident_mb(workers)))
                run.say(f"{ended * 3:,} of {flows * 3:,} tasks, {samples[-1][1]:.1f} MB")
        warm = [mb for done, mb in samples if _WARM * flows <= done < 2 * _WARM * flows]
        last = [mb for done, mb in samples if done >= (1 - _WARM) * flows]
        begin_mb, end_mb = statistics.median(warm or [samples[0][1]]), statistics.median(last)
        run.add("in the second tenth", begin_mb, "MB", samples=len(warm))
        run.add("in the last tenth", end_mb, "MB", samples=len(last))
        run.add(
            "grown by", (end_mb / begin_mb - 1) * 100, "%",
            target=5, higher_is_better=False, is_scaled=False,
        )  # fmt: skip


def _resident_mb(processes: Sequence[psutil.Process]) -> float:
    return sum(process.memory_info().rss for process in processes) / 1024**2
