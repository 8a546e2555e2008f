"""A partition as a service sees it: its keys and the generation that fences its calls."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from flower_engine.errors import InstallationError, LostError
from flower_engine.log.client import AsyncRedis, send
from flower_engine.log.keys import Keys
from flower_engine.own_version import own_version

STATE_VERSION = "1"
"""The layout of keys that this version writes, and the only one that it knows; ``install.lua`` notes it."""


@dataclass(frozen=True)
class Partition:
    """One partition of an installation, at one generation."""

    number: int
    installation: str
    generation: str
    first_count: int = field(default=0, repr=False, compare=False)
    """How many partitions there were at first; 0: it is not known. See :func:`routed_over`."""
    is_retired: bool = field(default=False, repr=False, compare=False)
    """Nobody works on it: what it had is in the archive."""
    keys: Keys = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "keys", Keys(self.number))

    def check(self, reply: list[Any]) -> list[Any]:
        """A transition's reply, if it is not ``lost``.

        Raises:
            LostError: Redis no longer has the state that this service was started on.
        """
        if reply[0] == b"lost":
            raise LostError(
                f"Redis has lost the state of partition {self.number} (installation {self.installation},"
                f" generation {self.generation}), or it was halted or recovered: see hash"
                f" {self.keys.meta!r}. This service stops; recover Redis from the archive, then start again"
            )
        return reply


def routed_over(partitions: Sequence[Partition]) -> int:
    """Over how many partitions idempotency keys and schedules are spread: over as many as there were at
    first, however many there are by now, so that each stays where it is."""
    return next((one.first_count for one in partitions if one.first_count), len(partitions) or 1)


_CLEARED = "2"  # of `retired`: its keys have gone
_META_FIELDS = (
    *("installation", "generation", "partitions", "halted_why", "recovering", "rewound", "in_all"),
    *("gone", "retiring", "retired"),
)


@dataclass(frozen=True)
class Meta:
    """What a partition's ``meta`` says of the installation it belongs to.

    ``partitions``: how many there were at first; ``in_all``: how many there ever were, at least, of which
    nobody works on those that have ``gone``.
    Where it was halted, or is being recovered (as generation ``recovering``), it has no generation.
    ``is_retiring``: it gets no new flows; ``is_retired``: it was closed, as it was empty (no generation);
    ``is_cleared``: its keys have gone since.
    ``rewound``: it was halted because Redis went back in time, as a worker could prove; so many outcomes came
    for flows that Redis does not know (None: that is not why).
    """

    installation: str
    generation: str
    partitions: int
    halted_why: str = ""
    recovering: str = ""
    rewound: int | None = None
    in_all: int = 0
    gone: frozenset[int] = frozenset()
    is_retiring: bool = False
    is_retired: bool = False
    is_cleared: bool = False

    @property
    def count(self) -> int:
        """How many partitions there ever were, as far as this one was told."""
        return max(self.partitions, self.in_all)

    @property
    def numbers(self) -> list[int]:
        """Those that are worked on, as far as this one was told."""
        return [number for number in range(self.count) if number not in self.gone]


async def read_meta(client: AsyncRedis, number: int, *, of_any_layout: bool = False) -> Meta | None:
    """The partition's meta, or None where there is none. ``of_any_layout``: for a recovery, which makes all
    keys anew.

    Raises:
        InstallationError: the keys are laid out as a newer version does it.
    """
    got: list[bytes | None] = await send(client, "HMGET", Keys(number).meta, *_META_FIELDS, "state_version")
    *words, layout = [value.decode() if value else "" for value in got]
    installation, generation, partitions, why, recovering, rewound, in_all, gone, retiring, retired = words
    if not installation:
        return None
    if layout not in ("", STATE_VERSION) and not of_any_layout:
        raise InstallationError(
            f"Redis has the keys of partition {number} in layout {layout}, and {own_version()} knows layout"
            f" {STATE_VERSION}: a newer version made them. Upgrade this service; to go back, stop the newer"
            " services and have the keys made anew from the archive (flower recover --force)"
        )
    went_back = int(rewound) if rewound else None
    return Meta(
        *(installation, generation, int(partitions or 0), why, recovering, went_back),
        in_all=int(in_all or 0),
        gone=numbers_in(gone),
        is_retiring=bool(retiring),
        is_retired=bool(retired),
        is_cleared=retired == _CLEARED,
    )


def numbers_in(text: str) -> frozenset[int]:
    """The numbers of partitions, as ``meta`` holds them."""
    return frozenset(int(word) for word in text.split(",") if word)


def numbers_text(numbers: Collection[int]) -> str:
    """The other side."""
    return ",".join(map(str, sorted(numbers)))
