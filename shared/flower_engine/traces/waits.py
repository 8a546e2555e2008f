"""How a task waited, and why, as far as events tell."""

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

Reason = Literal["start", "queue", "pause", "retry", "round", "operator"]
"""Why a task waited: for the time before which nothing of its flow starts; for a worker and its turn, which
limits may put off (events do not tell which); for the end of its flow's pause; for the time of its next
attempt; for that of its next round; or, suspended, for somebody who decides."""


class Waited(NamedTuple):
    """A piece of a wait, in milliseconds."""

    reason: Reason
    from_ms: int
    to_ms: int


def pieces(
    from_ms: int,
    to_ms: int,
    due_ms: int,
    pauses: Sequence[tuple[int, int]],
    due: Literal["retry", "round"] = "retry",
) -> Iterator[Waited]:
    """A ready task's wait cut up by reason, without pieces that took no time.

    ``due_ms``: when its next attempt was ``due`` (0: at once); ``pauses``: those of the flow, oldest first.
    """
    if due_ms > from_ms:
        until = min(due_ms, to_ms)
        yield Waited(due, from_ms, until)
        from_ms = until
    for paused, resumed in pauses:
        if resumed <= from_ms or from_ms >= to_ms:
            continue
        if paused >= to_ms:
            break
        if paused > from_ms:
            yield Waited("queue", from_ms, paused)
            from_ms = paused
        until = min(resumed, to_ms)
        yield Waited("pause", from_ms, until)
        from_ms = until
    if from_ms < to_ms:
        yield Waited("queue", from_ms, to_ms)
