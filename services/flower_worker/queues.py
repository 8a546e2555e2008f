"""The queues that a worker serves, and in which order a call names them: always the same, or by weight."""

import re
from collections.abc import Iterable, Sequence

from flower_engine.model.values.key_parts import escape
from flower_engine.transitions.loader import Arg

_WEIGHTED = re.compile(r"(.+)=(\d+(?:\.\d+)?)")


class Queues:
    """Queues as a setting names them: ``a``, ``b`` in this order; by weight if one has one: ``a=3``, ``b``.

    By weight, the tasks started of each queue follow the weights while all have tasks (stride scheduling:
    Waldspurger and Weihl, 1995): a call names the queue first that is furthest behind its share. A queue that
    had nothing to give has no claim to what it missed.
    """

    def __init__(self, entries: Sequence[str]) -> None:
        parts = [(_WEIGHTED.fullmatch(entry), entry) for entry in entries]
        self.names = tuple(dict.fromkeys(found[1] if found else entry for found, entry in parts))
        self._is_weighted = any(found for found, _ in parts)
        self._strides = {
            found[1] if found else entry: 1 / float(found[2] if found else 1) for found, entry in parts
        }
        self._passes = dict.fromkeys(self.names, 0.0)
        self._args: dict[tuple[str, ...], list[Arg]] = {}

    def args(self) -> list[Arg]:
        """Number and names of the queues, as ``finish_and_claim`` wants them in the next call."""
        order = self.names
        if self._is_weighted:
            order = tuple(sorted(self.names, key=lambda name: self._passes[name]))
        found = self._args.get(order)
        if found is None:
            found = self._args[order] = [len(order), *(escape(name) for name in order)]
        return found

    def granted(self, queues: Iterable[str], wanted: int) -> None:
        """A call that asked for so many tasks was given one of each of these queues."""
        if not self._is_weighted:
            return
        count = 0
        for queue in queues:
            self._passes[queue] += self._strides[queue]
            count += 1
        if count < wanted:  # every queue was looked at, and has no more: all are even
            self._passes = dict.fromkeys(self.names, 0.0)
