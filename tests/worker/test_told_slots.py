"""What a worker tells of its slots and of outcomes that were refused: as things happen to a real one."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from flower_engine.runtime.asyncio_tasks import cancel_all
from flower_watcher.timers import TimerLoop
from metrics.scraping import Page, scrape
from scripts.engine import Engine
from worker.conftest import MakeSettings
from worker.running import InProcess, eventually, row


@pytest.fixture(autouse=True)
async def _watching(
    engine: Engine, make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[None]:
    """What ends attempts that take too long; after a stall, which it does not see, it would wait."""
    monkeypatch.setattr("flower_watcher.lapse._INTERVALS_TO_A_STALL", 1_000)
    task = asyncio.create_task(TimerLoop(engine.client, engine.partition, make_settings()).run())
    yield
    await cancel_all([task])


async def test_slots_are_busy_then_stuck_then_free_and_the_late_outcome_is_counted(
    engine: Engine,
    start_worker: Callable[..., InProcess],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "flower_engine")
    (tmp_path / "async").mkdir()
    await engine.register(row(1, "wait_async", FOLDER=str(tmp_path / "async")))
    start_worker(metrics_port=0)
    await eventually(lambda: "telling of this service at " in caplog.text)
    url = caplog.text.partition("telling of this service at ")[2].partition(": ")[0]

    async def states() -> tuple[float, ...]:
        page = await asyncio.to_thread(scrape, url)
        return tuple(page.value("flower_worker_slots", state=state) for state in ("busy", "free", "stuck"))

    async def until(*wanted: float) -> None:
        async def reached() -> bool:
            return await states() == wanted

        await eventually(reached)

    async def page() -> Page:
        return await asyncio.to_thread(scrape, url)

    await until(1, 9, 0)
    await engine.register(row(1, "wait_thread", FOLDER=str(tmp_path), timeout_ms=200))
    await until(1, 8, 1)
    assert (await page()).value("flower_outcomes_refused_total", why="stale") == 0
    (tmp_path / "go").touch()
    await until(1, 9, 0)

    async def counted() -> bool:
        return (await page()).value("flower_outcomes_refused_total", why="stale") == 1

    await eventually(counted)
    (tmp_path / "async" / "go").touch()
    await until(0, 10, 0)
