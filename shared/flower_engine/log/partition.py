"""A partition as a service sees it: its keys and the generation that fences its calls."""

from dataclasses import dataclass, field
from typing import Any

from flower_engine.errors import LostError
from flower_engine.log.client import AsyncRedis, send
from flower_engine.log.keys import Keys


@dataclass(frozen=True)
class Partition:
    """One partition of an installation, at one generation."""

    number: int
    installation: str
    generation: str
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


@dataclass(frozen=True)
class Meta:
    """What a partition's ``meta`` says of the installation it belongs to.

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


async def read_meta(client: AsyncRedis, number: int) -> Meta | None:
    """The partition's meta, or None where there is none."""
    fields = ("installation", "generation", "partitions", "halted_why", "recovering", "rewound")
    got: list[bytes | None] = await send(client, "HMGET", Keys(number).meta, *fields)
    words = [value.decode() if value else "" for value in got]
    installation, generation, partitions, why, recovering, rewound = words
    if not installation:
        return None
    return Meta(
        installation, generation, int(partitions or 0), why, recovering, int(rewound) if rewound else None
    )
