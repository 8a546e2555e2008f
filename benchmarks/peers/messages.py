"""What the benchmark and the client process of a peer say to each other: a line of JSON each way."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Order:
    """What the client is to do: ``describe``, ``open`` (before all others), or a method of ``Peer``."""

    do: str
    count: int = 0
    length: int = 0
    number: int = 0


@dataclass(frozen=True)
class Done:
    """An order was carried out: when, by the monotonic clock; ``is_known``: the peer has such a call."""

    began_ns: int
    ended_ns: int
    is_known: bool = True


@dataclass(frozen=True)
class Description:
    """What a peer is; see ``Peer``."""

    versions: str
    store: str
    is_durable: bool
    setting: str
    ordering: str
    sizes: list[int]
    variables: dict[str, str]
    servers: list[list[str]]
    workers: list[list[str]]
