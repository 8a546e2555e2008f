"""Retiring: a partition gets no new flows, and is taken away when the last one has ended.

Each step is safe to be cut off, and to be done by two at once, or late. Nobody needs to be sure that no flow
comes any more: what closes a partition is that nothing happened in it since Postgres, which knew of no flow
there that had not ended, had all of it. Who came before finds it open, and who comes later is refused.
"""

from typing import Literal

import msgspec

Step = Literal["nothing", "wait", "leave", "come back", "close", "note", "clear"]
"""``leave``: all are told that nobody is to work on it; ``come back``: that they are to. ``note``: Postgres
hears that it was closed; ``clear``: its keys go."""


class Seen(msgspec.Struct, frozen=True):
    """A partition as somebody sees it who read Postgres first and Redis then.

    ``is_retiring``: Postgres says that it gets no new flows, ``is_retired``: that it was closed.
    ``open_flows``: those that had not ended at ``position``, and are not ended as far as anybody knows;
    ``log_end``: the position of the last event. ``has_unstored``: there is more that only Redis has.
    ``is_leaving``: others are told that nobody works on it, and ``is_left``: for so long that they heard.
    ``is_closed``: Redis says so.
    """

    is_retiring: bool
    is_retired: bool
    open_flows: int
    position: str | None
    log_end: str | None
    has_unstored: bool
    is_leaving: bool
    is_left: bool
    is_closed: bool

    @property
    def is_empty(self) -> bool:
        """Whether nothing of it would be lost."""
        return self.open_flows == 0 and self.position == self.log_end and not self.has_unstored


def next_step(seen: Seen) -> Step:
    """What is to be done next."""
    if seen.is_retired:
        return "clear" if seen.is_closed else "nothing"
    if not seen.is_retiring:
        return "come back" if seen.is_leaving else "nothing"
    if seen.is_closed:
        return "note"
    if not seen.is_empty:
        return "come back" if seen.is_leaving else "wait"
    if not seen.is_leaving:
        return "leave"
    return "close" if seen.is_left else "wait"
