"""Events of what waits for no worker, but for the world, a decision, the items of a map or a child."""

from collections.abc import Iterator

import msgspec

from flower_engine.model.definitions.definition import PlannedTask, TaskKeys
from flower_engine.model.events.event_base import FlowEvent
from flower_engine.model.maps.earlier_items import TakenItem
from flower_engine.model.maps.map_items import Along, Came, Given, items_along, items_of
from flower_engine.model.values.blob_ref import BlobRef


class TaskAwaiting(FlowEvent, frozen=True, tag="task.awaiting"):
    """A task without a worker waits for the world from here on, as its next attempt: it stays in Wait.

    ``kind``: sleep, event, approval, when, flow or returns. ``until_ms``: when a sleep is over, or when it
    has waited too long (0: never). It has no lease, as it has no worker. ``used``: as in ``task.started``.
    """

    task: int
    attempt: int
    kind: str
    until_ms: int = 0
    lease: str = ""
    used: tuple[int, ...] = ()


class TaskVoted(FlowEvent, frozen=True, tag="task.voted"):
    """One of the names that an approval needs has answered it, and more are needed. ``names``: all who have
    answered so far, ``by`` the last of them."""

    task: int
    attempt: int
    by: str
    names: tuple[str, ...]
    answer: msgspec.Raw = msgspec.Raw(b"null")


class TaskAnswered(FlowEvent, frozen=True, tag="task.answered"):
    """What a task awaited has come: Wait -> Finish. ``by``: who answered or sent the signal; ``time``: a
    sleep is over; ``timeout``: it has waited too long, and ends with its default. ``signal``: the id of the
    signal that it takes, which no other task gets. ``blob``: as in ``task.finished``."""

    task: int
    attempt: int
    by: str
    signal: str = ""
    result: msgspec.Raw = msgspec.Raw(b"null")
    blob: BlobRef | None = None
    ends: bool = False


class TaskExpanded(FlowEvent, frozen=True, tag="task.expanded"):
    """A map has its items: so many tasks more of the flow, numbered from ``first`` on, for which it waits
    from here on. Each is as ``item`` says (which has no number), and is given one of ``values`` as the
    parameter ``name``. ``keys``: those of each, where they have any; else empty; ``item_keys``: by which
    they are told apart, where the map says that. ``chain``: maps that go along this one, or along one before
    them in it, each with as many items, numbered on. ``taken``: what those came to that take it over from an
    earlier item of their map, so that they do not run."""

    task: int
    attempt: int
    by: str
    workflow: str
    first: int
    name: str
    item: PlannedTask
    values: tuple[msgspec.Raw, ...]
    keys: tuple[TaskKeys, ...] = ()
    item_keys: tuple[str, ...] = ()
    chain: tuple[Along, ...] = ()
    taken: tuple[TakenItem, ...] = ()

    @property
    def taken_by(self) -> dict[int, TakenItem]:
        """The same by the number of the item."""
        return {self.first + one.index: one for one in self.taken}

    @property
    def numbers(self) -> range:
        """Those of all items."""
        return range(self.first, self.first + len(self.values) * (1 + len(self.chain)))

    @property
    def maps(self) -> Iterator[Came]:
        """The maps, each with its items."""
        first = {self.task: self.first}
        yield Came(self.task, self.first, self.item)
        for number, one in enumerate(self.chain, start=1):
            first[one.task] = self.first + number * len(self.values)
            if one.over not in first:
                raise ValueError(
                    f"map {one.task} goes along map {one.over}, which has no items in this event"
                )
            yield Came(one.task, first[one.task], one.item, first[one.over], one.ref)

    @property
    def tasks(self) -> Iterator[PlannedTask]:
        """The items, as they are planned."""
        given = Given(self.name, self.values, self.keys, self.item_keys)
        yield from items_of(self.task, self.first, self.item, given)
        for came in self.maps:
            if came.over:
                yield from items_along(came, len(self.values), self.item_keys)


class TaskLifted(FlowEvent, frozen=True, tag="task.lifted"):
    """A task that was held because nothing went on in its child awaits that again: Suspend -> Wait, in the
    same attempt. ``was`` 0: Wait -> Wait, as it had ended, and was opened again for what it does with its
    child."""

    task: int
    attempt: int
    was: int = 2
    kind: str = "flow"
    until_ms: int = 0


class FlowSignalled(FlowEvent, frozen=True, tag="flow.signalled"):
    """A signal for the flow, once for each ``id``. It is kept until a task that awaits ``name`` (and ``key``,
    if it says one) takes it."""

    name: str
    id: str
    by: str
    key: str = ""
    payload: msgspec.Raw = msgspec.Raw(b"null")


AnyWaitEvent = TaskAwaiting | TaskVoted | TaskAnswered | TaskExpanded | TaskLifted | FlowSignalled
