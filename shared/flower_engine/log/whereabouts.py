"""Where the servers are, as sentinels or the nodes of a cluster tell it; what to ask them, without any I/O.

What somebody said holds until it is doubted: a connection could not be made there, or the server there says
that it is another one's. Then the others are asked, and an answer that differs counts for more, as those who
are cut off say for long what was true. Any thread may use it.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from redis.crc import key_slot
from redis.exceptions import ConnectionError as LostConnectionError

from flower_engine.log.keys import Keys
from flower_engine.log.server_addresses import Host, written

_MOST_ASKED = 5  # for one connection: who is away costs time


class Whereabouts(Protocol):
    """Of one server: it serves a partition, or it is the primary of a set."""

    @property
    def question(self) -> tuple[str, ...]:
        """The command that those who are asked answer."""
        ...

    def known(self) -> Host | None:
        """Where it is, as far as that is known."""
        ...

    def doubt(self, host: Host) -> None:
        """It is not there, or not there any more."""
        ...

    def to_ask(self) -> Sequence[Host]:
        """Whom to ask now, one after the other."""
        ...

    def learn(self, asked: Host, reply: Any) -> Host | None:
        """What the reply to the question says; None: nothing, or what is doubted."""
        ...

    def last(self) -> Host:
        """What is doubted, where everybody says so. Raises ConnectionError: nobody knows where it is."""
        ...


class PrimaryOfSet:
    """The primary of a set that sentinels watch."""

    def __init__(self, sentinels: Sequence[Host], name: str) -> None:
        self.question: tuple[str, ...] = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", name)
        self._name = name
        self._sentinels = list(sentinels)
        self._known: Host | None = None
        self._doubted: Host | None = None
        self._said = False

    def known(self) -> Host | None:
        return self._known

    def doubt(self, host: Host) -> None:
        if host == self._known:  # else others have found it elsewhere already
            self._doubted, self._known = host, None

    def to_ask(self) -> Sequence[Host]:
        self._said = False
        return list(self._sentinels)

    def learn(self, asked: Host, reply: Any) -> Host | None:
        if not reply:
            return None
        found = (_text(reply[0]), int(reply[1]))
        if asked in self._sentinels:  # the one that answers is asked first
            self._sentinels.remove(asked)
            self._sentinels.insert(0, asked)
        if found == self._doubted:
            self._said = True
            return None
        self._known, self._doubted = found, None
        return found

    def last(self) -> Host:
        if self._said and self._doubted is not None:
            self._known = self._doubted
            return self._doubted
        names = ", ".join(map(written, self._sentinels))
        raise LostConnectionError(f"no sentinel knows a primary {self._name!r} now ({names} were asked)")


class ClusterMap:
    """Which node serves which slot; partitions share what one of them learned."""

    def __init__(self, seeds: Sequence[Host]) -> None:
        self._seeds = list(seeds)
        self._nodes = list(seeds)
        self._owners: dict[int, Host] = {}  # of slots that somebody asked for
        self._ranges: list[tuple[int, int, Host]] = []

    def of(self, partition: int) -> "NodeOfPartition":
        """Where a partition is."""
        return NodeOfPartition(self, key_slot(Keys(partition).prefix.encode()))

    def owner(self, slot: int) -> Host | None:
        """The node that serves it, as far as that is known."""
        return self._owners.get(slot) or next(
            (host for first, last, host in self._ranges if first <= slot <= last), None
        )

    def note(self, slot: int, host: Host) -> None:
        """One that knows has said that this node serves it."""
        self._owners[slot] = host

    def forget(self, slot: int) -> None:
        self._owners.pop(slot, None)
        self._ranges = [one for one in self._ranges if not one[0] <= slot <= one[1]]

    def to_ask(self, but: Host | None) -> Sequence[Host]:
        """Some nodes, other ones each time."""
        nodes = [host for host in self._nodes if host != but]
        if self._nodes:
            self._nodes.append(self._nodes.pop(0))
        return nodes[:_MOST_ASKED] or self._seeds

    def learn(self, asked: Host, reply: Any) -> None:
        """From ``CLUSTER SLOTS``; a node that does not know its own name is where it was asked."""
        ranges: list[tuple[int, int, Host]] = []
        nodes: dict[Host, None] = {}
        for first, last, *servers in reply:
            hosts = [_at(server, asked) for server in servers]
            nodes |= dict.fromkeys(hosts)
            ranges.append((int(first), int(last), hosts[0]))
        self._ranges = ranges
        self._owners = {}
        self._nodes = [*nodes, *(seed for seed in self._seeds if seed not in nodes)]

    def hosts(self) -> Iterator[Host]:
        """Those that serve a slot."""
        yield from dict.fromkeys(host for _, _, host in self._ranges)


class NodeOfPartition:
    """The node that serves a partition."""

    question: tuple[str, ...] = ("CLUSTER SLOTS",)

    def __init__(self, cluster: ClusterMap, slot: int) -> None:
        self._cluster = cluster
        self._slot = slot
        self._doubted: Host | None = None
        self._said = False

    def known(self) -> Host | None:
        return self._cluster.owner(self._slot)

    def doubt(self, host: Host) -> None:
        if host == self.known():  # else others have found it elsewhere already
            self._doubted = host
            self._cluster.forget(self._slot)

    def moved(self, host: Host) -> None:
        """The node that served it says that this one does."""
        self._cluster.note(self._slot, host)

    def to_ask(self) -> Sequence[Host]:
        self._said = False
        return self._cluster.to_ask(self._doubted)

    def learn(self, asked: Host, reply: Any) -> Host | None:
        self._cluster.learn(asked, reply)
        found = self.known()
        if found is not None and found == self._doubted:
            self._said = True
            self._cluster.forget(self._slot)
            return None
        if found is not None:
            self._doubted = None
        return found

    def last(self) -> Host:
        if self._said and self._doubted is not None:
            self._cluster.note(self._slot, self._doubted)
            return self._doubted
        raise LostConnectionError(f"no node of the cluster serves slot {self._slot} now")


def _at(server: Any, asked: Host) -> Host:
    name, port = _text(server[0] or b""), int(server[1])
    return (name if name not in ("", "?") else asked[0]), port


def _text(word: bytes | str) -> str:
    return word.decode() if isinstance(word, bytes) else word
