"""What a peer's module says and does; it runs in the peer's own virtual environment."""

import os
from abc import ABC, abstractmethod
from collections.abc import Awaitable
from typing import ClassVar, Literal, NamedTuple

Store = Literal["valkey", "postgres", "flower", "none"]


class Sizes(NamedTuple):
    """How much a peer gets, so that each workload takes it about five seconds."""

    backlog: int
    """Independent tasks."""
    chains: int
    """Flows of three tasks."""
    registered: int
    """Enqueue calls, one at a time."""
    long_chains: int = 9
    """Chains of 40, one after the other."""


class Peer(ABC):
    """One peer: how its worker is started, and how tasks are given to it.

    A task is named by its number, see ``work``. The methods that enqueue return when the peer has accepted
    all of it. Each is a coroutine, or blocks, as the peer has it.
    """

    packages: ClassVar[tuple[str, ...]]
    """Whose versions are printed."""
    store: ClassVar[Store]
    is_durable: ClassVar[bool]
    """Whether a task that ended stays ended after a power failure, and the chain goes on behind it."""
    setting: ClassVar[str]
    """How its worker is set, in one line."""
    ordering: ClassVar[str]
    """What keeps the tasks of a chain in order."""
    sizes: ClassVar[Sizes]
    variables: ClassVar[dict[str, str]] = {}
    """Environment variables of the workers, where the peer is set by them."""

    @abstractmethod
    def workers(self) -> list[list[str]]:
        """The commands that start the worker processes; the first word is a program of the environment."""

    def servers(self) -> list[list[str]]:
        """Commands of servers that must run before ``open``, beside the store."""
        return []

    def open(self) -> Awaitable[None] | None:
        """Make ready to enqueue; waits for servers."""
        return None

    def close(self) -> Awaitable[None] | None:
        """The end of the enqueuing process."""
        return None

    def prepare(self, length: int, number: int) -> Awaitable[None] | None:
        """Define what such chains need, where that is no part of starting one."""
        return None

    @abstractmethod
    def single(self, count: int) -> Awaitable[None] | None:
        """Enqueue so many tasks 0, one call after the other."""

    def bulk(self, count: int) -> Awaitable[bool] | bool:
        """Enqueue so many tasks 0 in as few calls as the peer allows; False if it has no such call."""
        return False

    @abstractmethod
    def chains(self, count: int, length: int, number: int = 0) -> Awaitable[None] | None:
        """Start so many chains of ``length`` tasks ``number``, in order."""


def store_url() -> str:
    """Where the store of this run is. While a peer is only asked what it is, there is none."""
    return os.environ.get("PEER_STORE_URL", "unix:///nowhere?db=0")


def worker_module(name: str) -> list[str]:
    """The command of a peer whose worker is a program of the user."""
    return ["python", "-m", f"benchmarks.peers.apps.{name}"]
