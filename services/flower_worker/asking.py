"""Whether a worker asks for tasks, and is answered, as one of its pieces of work."""

from collections.abc import Sequence

from flower_engine.runtime.clock import SYSTEM_CLOCK, Clock
from flower_engine.runtime.work_done import PATIENCE_SECONDS, Standing
from flower_worker.bell import LONGEST_SECONDS
from flower_worker.exchange import ExchangeLoop
from flower_worker.slots import Slots


class Asking:
    """One partition's. A connection may stand over which nothing comes any more: then a call stays without an
    answer, or nobody rings. A worker with a free slot asks every two seconds at least; one without asks for
    nothing, and that is well. One call asks for tasks of all its queues."""

    def __init__(
        self,
        exchange: ExchangeLoop,
        slots: Slots,
        queues: Sequence[str],
        *,
        serves_light: bool,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """``serves_light``: it has programs that need no process."""
        self._exchange = exchange
        self._slots = slots
        self._partition = exchange.partition.number
        self._name = f"queues {', '.join(queues)} of partition {exchange.partition.number}"
        self._serves_light = serves_light
        self._clock = clock

    def standing(self) -> Standing:
        now, exchange = self._clock.monotonic(), self._exchange
        silent = now - exchange.answered_at
        last = silent if exchange.answered else None
        if exchange.calling_since is not None:
            unanswered = now - exchange.calling_since
            problem = f"Redis has not answered its call for {unanswered:.0f} s"
            is_late = unanswered > PATIENCE_SECONDS
            return Standing(self._name, last, problem if is_late else None, self._partition)
        is_late = silent > LONGEST_SECONDS + PATIENCE_SECONDS and exchange.claims and self._has_room()
        problem = f"it has free slots, and has asked for no task for {silent:.0f} s"
        return Standing(self._name, last, problem if is_late else None, self._partition)

    def _has_room(self) -> bool:
        use, slots = self._exchange.slot_use, self._slots
        free = slots.free(use)
        return free > 0 and (self._serves_light or slots.room(use) > 0)
