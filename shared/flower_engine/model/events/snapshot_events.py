"""The event that says how a flow stands, where what led there is lost."""

from typing import Any, Literal

import msgspec

from flower_engine.model.definitions.task_message import SnapshotMessage
from flower_engine.model.events.event_base import NO_VALUE, FlowEvent
from flower_engine.model.maps.earlier_items import EarlierItem
from flower_engine.model.tasks.end_kinds import EndedAs
from flower_engine.model.values.blob_ref import BlobRef


class SnapshotTask(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A task as a snapshot found it in Redis, which keeps no times or errors, and of results only those that
    tasks still take: ``result``, or ``blob``.

    ``policy`` holds the numbers of a ``TaskPolicy``. ``progress`` is what a worker said of it. ``ended_as``
    says how it has ended (``end_kinds.py``; "t" and "f": what a decision came to), ``used`` which
    dependencies its rule picked. ``awaiting``, ``until_ms`` and ``votes`` are those of a task that waits for
    the world, ``items`` the first of a map's items and how many they are, ``along`` the map whose items these
    go along, ``window`` what bounds an item, ``earlier`` (of a map that is to be expanded, and matched) the
    items that it had.
    """

    message: SnapshotMessage
    queue: str
    priority: int
    dependents: tuple[int, ...] = ()
    status: int = 0
    attempt: int = 0
    lost: int = 0
    failures: int = 0
    lease: str = ""
    worker: str = ""
    due_ms: int | None = None
    units: int = 1
    fair_key: str = ""
    workflow_key: str = ""
    program_key: str = ""
    window: str = ""
    policy: tuple[float, ...] = ()
    progress: dict[str, Any] | None = None
    result: msgspec.Raw = NO_VALUE
    blob: BlobRef | None = None
    ended_as: EndedAs | Literal["t", "f"] = ""
    used: tuple[int, ...] = ()
    awaiting: str = ""
    until_ms: int = 0
    votes: tuple[str, ...] = ()
    items: tuple[int, int] | None = None
    along: int = 0
    round: int = 0
    given: msgspec.Raw = NO_VALUE
    earlier: tuple[EarlierItem, ...] | None = None


class KeptSignal(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A signal that nobody has taken yet, as a snapshot found it."""

    name: str
    key: str = ""
    id: str
    by: str
    payload: msgspec.Raw = msgspec.Raw(b"null")


class FlowSnapshot(FlowEvent, frozen=True, tag="flow.snapshot"):
    """A flow under way as it stands; what led there, or a part of it, is lost. ``tasks[seq - 1]`` is task
    ``seq``; ``timeout_due_ms`` is when it will have taken too long, 0: never, or not from now on; of one that
    is ``ending`` (because of what), when its cleanup has. ``signals``
    are those that it keeps, ``signal_ids`` those of all that it ever got. A child has its ``parent``.
    ``rounds``: of all its loops; ``again``: which task asked for another round of the flow, in which attempt
    and by when (0: at once), ``again_given`` with which parameters."""

    workflow: str
    order: int
    tasks: tuple[SnapshotTask, ...]
    timeout_ms: int = 0
    timeout_due_ms: int = 0
    start_ms: int = 0
    paused: bool = False
    ending: Literal["", "cancel", "timeout", "again"] = ""
    cleanup_ms: int = 0
    key: str = ""
    schedule: str = ""
    slot: int = 0
    previous_slot: int = 0
    next_slot: int = 0
    signals: tuple[KeptSignal, ...] = ()
    signal_ids: tuple[str, ...] = ()
    parent: str = ""
    parent_task: int = 0
    parent_attempt: int = 0
    trunk: str = ""
    window: str = ""
    rounds: int = 0
    again: tuple[int, int, int] | None = None
    again_given: msgspec.Raw = NO_VALUE

    @property
    def due_ms(self) -> int | None:
        """When the flow has taken too long; None: never, or that was said already."""
        return self.timeout_due_ms or None
