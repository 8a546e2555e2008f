"""A partition as a service sees it: its keys and the generation that fences its calls."""

from collections.abc import Sequence
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


@dataclass(frozen=True)
class Meta:
    """What a partition's ``meta`` says of the installation it belongs to.

    ``partitions``: how many there were at first; ``in_all``: how many there are at least by now.
    Where it was halted, or is being recovered (as generation ``recovering``), it has no generation.
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

    @property
    def count(self) -> int:
        """How many partitions there are, as far as this one was told."""
        return max(self.partitions, self.in_all)


async def read_meta(client: AsyncRedis, number: int, *, of_any_layout: bool = False) -> Meta | None:
    """The partition's meta, or None where there is none. ``of_any_layout``: for a recovery, which makes all
    keys anew.

    Raises:
        InstallationError: the keys are laid out as a newer version does it.
    """
    fields = ("installation", "generation", "partitions", "halted_why", "recovering", "rewound", "in_all")
    got: list[bytes | None] = await send(client, "HMGET", Keys(number).meta, *fields, "state_version")
    *words, layout = [value.decode() if value else "" for value in got]
    installation, generation, partitions, why, recovering, rewound, in_all = words
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
        *(installation, generation, int(partitions or 0), why, recovering, went_back), int(in_all or 0)
    )
