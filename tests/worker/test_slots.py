"""A worker never takes more than its slots, and deals them evenly to its partitions."""

import pytest

from flower_engine.model.events.attempt_events import TaskFinished, TaskStarted
from flower_worker.slots import Ask, AskKind, Slots, SlotUse
from scripts.engine import Engine
from worker.running import row, until_settled
from worker.test_running_programs import StartWorker


def make(slots: int, processes: int = 0, *, partitions: int = 1) -> tuple[Slots, list[SlotUse]]:
    shared = Slots(slots, processes)
    uses = [SlotUse(lambda: None) for _ in range(partitions)]
    for use in uses:
        shared.add(use)
    return shared, uses


def test_one_partition_may_take_all_slots() -> None:
    slots, (use,) = make(10)
    assert slots.ask(use) == Ask(10, AskKind.ALL)
    use.used = 9
    assert slots.ask(use) == Ask(1, AskKind.ALL)
    use.used = 10
    assert slots.ask(use) is None


def test_nothing_is_asked_for_when_nothing_is_due() -> None:
    slots, (use,) = make(10)
    use.due = False
    assert slots.ask(use) is None


def test_partitions_with_tasks_share_evenly() -> None:
    slots, uses = make(10, partitions=3)
    for use in uses:
        ask = slots.ask(use)
        assert ask is not None
        use.used += ask.wanted
    assert sorted(use.used for use in uses) == [3, 3, 4]


def test_a_partition_without_tasks_leaves_its_part_to_others() -> None:
    slots, (busy, idle) = make(10, partitions=2)
    idle.due = idle.heavy_due = False
    assert slots.ask(busy) == Ask(10, AskKind.ALL)


def test_freed_slots_go_to_the_partition_that_uses_the_least() -> None:
    slots, (large, small) = make(10, partitions=2)
    large.used = 8
    assert slots.ask(large) is None
    assert slots.ask(small) == Ask(2, AskKind.ALL)


def test_a_single_slot_goes_round() -> None:
    slots, uses = make(1, partitions=3)
    order: list[int] = []
    for _ in range(6):
        for index, use in enumerate(uses):
            if slots.ask(use):
                order.append(index)
                break
    assert order == [0, 1, 2, 0, 1, 2]


def test_no_more_tasks_that_need_a_process_are_taken_than_there_are_processes() -> None:
    slots, (use,) = make(10, 2)
    asks = [slots.ask(use), slots.ask(use)]
    assert sorted((ask.kind.value, ask.wanted) for ask in asks if ask) == [("heavy", 2), ("light", 10)]
    use.used = use.heavy_used = 2
    assert slots.ask(use) == Ask(8, AskKind.LIGHT)


def test_both_kinds_are_asked_for_at_once_where_any_mix_fits() -> None:
    slots, (use,) = make(2, 4)
    assert slots.ask(use) == Ask(2, AskKind.ALL)


@pytest.mark.parametrize("free", range(12))
def test_what_is_dealt_out_is_never_more_than_there_is(free: int) -> None:
    slots, uses = make(free + 6, partitions=3)
    for use, used in zip(uses, (3, 2, 1), strict=True):
        use.used = used
    for use in uses:
        ask = slots.ask(use)
        use.used += ask.wanted if ask else 0
    assert sum(use.used for use in uses) <= free + 6


async def test_a_worker_holds_no_more_tasks_than_it_has_slots(
    engine: Engine, start_worker: StartWorker
) -> None:
    flows = await engine.register_many(10, row(1, "Noop"), row(2, "where_thread", 1), row(3, "Noop", 2))
    start_worker(concurrency=3)
    await until_settled(engine, *flows)
    assert await most_at_once(engine) == 3


async def test_a_worker_runs_no_more_processes_than_it_may(engine: Engine, start_worker: StartWorker) -> None:
    flows = await engine.register_many(6, row(1, "where_process"))
    start_worker(processes=1)
    await until_settled(engine, *flows)
    assert await most_at_once(engine) == 1


async def most_at_once(engine: Engine) -> int:
    running = most = 0
    for event in await engine.events():
        running += isinstance(event, TaskStarted) - isinstance(event, TaskFinished)
        most = max(most, running)
    return most
