"""A service of which only some partitions' work is late is degraded, and no more than that."""

from flower_engine.runtime.probes import look
from flower_engine.runtime.work_done import Standing, WorkDone


class _Work:
    def __init__(self, partition: int | None, problem: str | None) -> None:
        self._standing = Standing("work", 1.0, problem, partition)

    def standing(self) -> Standing:
        return self._standing


async def _status(*works: _Work) -> tuple[str, list[int]]:
    done = WorkDone("watcher")
    with done.watching(iter(works)), done.at_work():
        found = await look(done)
    return found.status, found.missing


async def test_work_of_one_partition_that_is_late_makes_it_degraded() -> None:
    assert await _status(_Work(0, None), _Work(1, "late"), _Work(None, None)) == ("degraded", [1])


async def test_work_of_all_partitions_that_is_late_makes_it_not_ready() -> None:
    assert await _status(_Work(0, "late"), _Work(1, "late"), _Work(None, None)) == ("not ready", [0, 1])
    assert await _status(_Work(0, "late")) == ("not ready", [0])


async def test_work_of_no_partition_that_is_late_makes_it_not_ready() -> None:
    assert await _status(_Work(0, None), _Work(None, "late")) == ("not ready", [])


async def test_nothing_late_is_ready() -> None:
    assert await _status(_Work(0, None), _Work(None, None)) == ("ready", [])
