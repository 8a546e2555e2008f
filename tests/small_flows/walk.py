"""Walks over every way that a small flow can go: all outcomes, in all orders.

What may come next follows from how a flow stands, not from how it came to stand so. So each way to stand is
looked at once, with each next end from there, and that covers every order; both sides are compared behind
each of these steps. What becomes of a task that nobody waits for is one for all that comes later.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from flower_engine.model.events.attempt_events import TaskStarted
from flower_engine.model.events.events import TasksPassed, TasksUnneeded
from flower_engine.model.tasks.status import Status
from rules_oracle import Oracle, World
from small_flows.folded import Folded
from small_flows.ways import next_ends, stand_of


class Walked(NamedTuple):
    """What was looked at: how many worlds, ways in which their flows stand, steps from there, and orders in
    which their tasks may end."""

    worlds: int = 0
    states: int = 0
    steps: int = 0
    orders: int = 0

    def with_more(self, other: "Walked") -> "Walked":
        return Walked(*(one + more for one, more in zip(self, other, strict=True)))

    def __str__(self) -> str:
        return f"{self.worlds:,} worlds, {self.states:,} states, {self.steps:,} steps, {self.orders:,} orders"


class _Stand(NamedTuple):
    """Both sides; ``was_late``: the flow has taken too long before."""

    oracle: Oracle
    folded: Folded
    was_late: bool = False


Step = Callable[[Oracle, Folded], None]


def walk(world: World, *, ruled: bool = True, at_once: bool = True, refuses: bool = False) -> Walked:
    """Compares the fold with the oracle wherever this world can come to; ``ruled``, ``at_once``: see
    :class:`Folded`. ``refuses``: asks the fold for each task that waits whether it may move, too.

    Raises:
        AssertionError: they differ; tells the world, and the steps that led there.
    """
    first = _Stand(Oracle(world), Folded(world, ruled=ruled, at_once=at_once))
    _compare(first, world, "at first", refuses=refuses)
    nobody_behind = [not any(task in node.after for node in world) for task in range(1, len(world) + 1)]
    seen: dict[tuple[object, ...], int] = {}
    steps = 0

    def orders_from(stand: _Stand, so_far: str) -> int:
        """In how many ways it can go on from there."""
        nonlocal steps
        key = _key(stand, nobody_behind)
        if key in seen:
            return seen[key]
        assert not (wrong := stand.folded.miscounted()), f"{world}: {so_far}: miscounted before {wrong}"
        found = 0
        for words, step in _next_steps(stand, ruled=ruled):
            steps += 1
            then = _Stand(stand.oracle.copied(), stand.folded.copied(), stand.was_late or step is _time_out)
            try:
                step(then.oracle, then.folded)
            except Exception as error:
                raise AssertionError(f"{world}: {so_far}, {words}: {error!r}") from error
            _compare(then, world, f"{so_far}, {words}", refuses=refuses)
            found += orders_from(then, f"{so_far}, {words}")
        seen[key] = max(1, found)
        return seen[key]

    orders = orders_from(first, "first")
    return Walked(1, len(seen), steps, orders)


def _key(stand: _Stand, nobody_behind: list[bool]) -> tuple[object, ...]:
    """What all that comes later follows from."""
    oracle = stand.oracle
    stands = stand_of(oracle, nobody_behind)
    if not any(node.cleans_up for node in oracle.world):
        return (stands, stand.folded.begun_with)
    return (stands, stand.folded.begun_with, stand.was_late, oracle.is_ending, *oracle.began.values())


def _next_steps(stand: _Stand, *, ruled: bool) -> Iterator[tuple[str, Step]]:
    """All that may come next, in words and on both sides."""
    oracle = stand.oracle
    for task, becomes in next_ends(oracle, ruled=ruled):
        is_end = len(becomes) == 1
        yield f"{task}{becomes}", _ending(task, becomes) if is_end else _letting_go(task, becomes[1])
    if any(node.cleans_up for node in oracle.world) and not oracle.has_ended:
        yield "cancel", _cancel
        if not (oracle.is_ending or stand.was_late):
            yield "timeout", _time_out


def _ending(task: int, becomes: str) -> Step:
    def step(oracle: Oracle, folded: Folded) -> None:
        oracle.end(task, becomes)
        folded.end(task, becomes)

    return step


def _letting_go(task: int, becomes: str) -> Step:
    def step(oracle: Oracle, folded: Folded) -> None:
        oracle.let_go(task, becomes, have_begun=folded.at_once)
        folded.let_go(task, becomes)

    return step


def _cancel(oracle: Oracle, folded: Folded) -> None:
    oracle.cancel()
    folded.cancel()


def _time_out(oracle: Oracle, folded: Folded) -> None:
    oracle.time_out()
    folded.time_out()


def _compare(stand: _Stand, world: World, where: str, *, refuses: bool) -> None:
    oracle, folded, _ = stand
    found = folded.shown()
    for task in oracle.either:
        found[task] = "W" if found[task] == "N" else found[task]
    assert found == oracle.stand, f"{world}: {where}: came to {found}, the table says {oracle.stand}"
    assert (folded.flow.ended_ms is not None) == oracle.has_ended, f"{world}: {where}: the end of the flow"
    if refuses and not oracle.has_ended:
        _compare_refusals(stand, where)


def _compare_refusals(stand: _Stand, where: str) -> None:
    """The fold takes no event that moves a task which the table lets stand."""
    oracle, folded, _ = stand
    for task, stands in oracle.stand.items():
        after, behind = oracle.world[task - 1].after, folded.flow.dependents[task]
        ends = folded.flow.left == 1
        if stands == ".":
            assert folded.refuses(TaskStarted, task=task, attempt=1, lease="1-1", worker="w"), where
        if stands in ".!" and folded.flow.ruled and not folded.flow.task(task).used:
            for cause in after:
                one = ((task, task),)
                assert folded.refuses(TasksPassed, ranges=one, cause=cause, ends=ends), where
                assert folded.refuses(TasksPassed, ranges=(), unmet=one, cause=cause, ends=ends), where
        if stands in ".!S":
            word = {Status.WAIT: "ranges", Status.RUNNING: "ran", Status.SUSPEND: "held"}
            fields = {word[folded.flow.task(task).status]: ((task, task),)}
            for cause in behind:
                assert folded.refuses(TasksUnneeded, cause=cause, ends=ends, **fields), where
