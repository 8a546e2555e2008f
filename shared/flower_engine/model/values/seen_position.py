"""How far somebody has seen: what answers carry, and what he sends back with his next question.

It is text that clients keep and need not understand, but for one thing: of two that come at the same time
they keep what both say (:meth:`SeenPosition.after`).
"""

import re
from collections.abc import Mapping
from typing import Self

import msgspec

from flower_engine.model.values.positions import as_numbers

HEADER = "Flower-Seen"
MOST_PARTITIONS = 64  # that it names; the header is to stay short

_SHAPE = re.compile(
    r"(\d{0,20})\.(\d{1,30})\.(\*|(?:\d{1,4}:\d{1,20}-\d{1,20}(?:,\d{1,4}:\d{1,20}-\d{1,20})*)?)"
)
_MOST_LETTERS = 4_096
_LSN_BITS = 64


def wal_number(timeline: int, lsn: int) -> int:
    """A position in what a Postgres wrote, and those that it took over from, as one number. One that is
    promoted begins another timeline: from there on another thing may stand at the same place."""
    return timeline << _LSN_BITS | lsn


def timeline_of(wal: int) -> int:
    """The timeline of a position."""
    return wal >> _LSN_BITS


def lsn_of(wal: int) -> int:
    """The place of a position in its timeline, in bytes."""
    return wal & ((1 << _LSN_BITS) - 1)


def reaches(wal: int, seen: int) -> bool:
    """Whether a Postgres at a position has all that is behind another one. On an earlier timeline it has not:
    it has what the one that took over may lack. On a later one it has, once it is as far: what it lacks of
    the earlier one is lost."""
    return timeline_of(wal) >= timeline_of(seen) and lsn_of(wal) >= lsn_of(seen)


class SeenPosition(msgspec.Struct, frozen=True):
    """``system`` names the Postgres, and ``wal`` the position in what it wrote (:func:`wal_number`).
    ``log``: what was changed in Redis and need not be in Postgres yet, by partition; ``is_anything``: that
    may be anything."""

    system: str = ""
    wal: int = 0
    log: Mapping[int, str] = msgspec.field(default_factory=dict[int, str])
    is_anything: bool = False

    @classmethod
    def read(cls, text: str) -> Self | None:
        """What the text says; None: it is none of these."""
        found = _SHAPE.fullmatch(text) if len(text) <= _MOST_LETTERS else None
        if found is None:
            return None
        log: dict[int, str] = {}
        if found[3] not in ("", "*"):
            for part in found[3].split(","):
                number, _, position = part.partition(":")
                log[int(number)] = position
        return cls(found[1], int(found[2]), log, found[3] == "*")

    @property
    def text(self) -> str:
        """As it is sent."""
        log = ",".join(f"{number}:{position}" for number, position in sorted(self.log.items()))
        return f"{self.system}.{self.wal}.{'*' if self.is_anything else log}"

    def with_wal(self, system: str, wal: int) -> Self:
        """The same after an answer of a Postgres that was at this position."""
        is_same = system == self.system
        return msgspec.structs.replace(self, system=system, wal=max(wal, self.wal) if is_same else wal)

    def with_log(self, log: Mapping[int, str]) -> Self:
        """The same after changes in Redis, which are in the log up to these positions."""
        known = {**self.log}
        for number, position in log.items():
            known[number] = max(position, known.get(number, ""), key=as_numbers)
        too_many = len(known) > MOST_PARTITIONS
        return msgspec.structs.replace(
            self, log={} if too_many else known, is_anything=self.is_anything or too_many
        )

    def without(self, projected: Mapping[int, str | None]) -> Self:
        """The same where Postgres has each partition up to here."""
        open_ones = {
            number: position
            for number, position in self.log.items()
            if as_numbers(projected.get(number)) < as_numbers(position)
        }
        return msgspec.structs.replace(self, log=open_ones)

    def after(self, sent: Self, answered: Self) -> Self:
        """What to keep of this, where the answer to what was sent comes: what came meanwhile to others, and
        the answer, which leaves out what it has found settled."""
        others = {
            number: position for number, position in self.log.items() if sent.log.get(number) != position
        }
        is_same = self.system == answered.system
        kept = msgspec.structs.replace(
            answered,
            wal=max(self.wal, answered.wal) if is_same else answered.wal,
            is_anything=answered.is_anything or (self.is_anything and not sent.is_anything),
        )
        return kept.with_log(others)
