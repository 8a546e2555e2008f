"""A batch: events that are archived and folded into the tables together."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

import msgspec

from flower_engine.errors import NewerEventError
from flower_engine.model.events.events import AnyEvent, decode_event
from flower_engine.model.events.snapshot_events import FlowSnapshot
from flower_engine.model.values.positions import as_numbers
from flower_engine.projection.archive.archive_days import DAY_MS
from flower_engine.projection.archive.archived_events import ArchiveRows
from flower_engine.projection.archive.histories import FAULTS, told
from flower_engine.projection.archive.refused_events import UNREADABLE, flow_and_type, outline, without_values
from flower_engine.projection.blobs.uses import Use, blobs_in
from flower_engine.projection.write.changes import Changes

_BREATH_EVENTS = 500  # between these the event loop goes on: the batch before this one is being written


class Entry(Protocol):
    """An event as it lies in the log: its position ("<ms>-<seq>") and its JSON."""

    @property
    def position(self) -> str: ...

    @property
    def raw(self) -> bytes: ...


class Uncounted(msgspec.Struct, frozen=True):
    """An entry whose event is archived as bytes and counts for nothing, and why."""

    position: str
    raw: bytes
    why: str


class Batch:
    """Events of a partition, in log order, with what they add to the archive and change in the tables."""

    def __init__(self, partition: int, entries: Sequence[Entry]) -> None:
        self.partition = partition
        self.entries = entries
        self.archive = ArchiveRows(partition)
        self.changes = Changes()
        self.events: list[AnyEvent] = []  # those that can be read

    def add_refused(self, entry: Entry, why: str, event: AnyEvent | None) -> None:
        """Archives an event as bytes with the reason, and counts what is given of it."""
        ms, seq = as_numbers(entry.position)
        flow, kind = flow_and_type(entry.raw)
        self.archive.add_refused(ms, seq, entry.raw, why, flow=flow, kind=kind)
        if event is not None:
            self.changes.add(event, ms)
        elif flow is not None:
            self.changes.touch(flow, ms)

    @property
    def position(self) -> str:
        """The position of its last event."""
        return self.entries[-1].position

    def span_ms(self) -> tuple[int, int]:
        """The milliseconds of its first and last position."""
        return as_numbers(self.entries[0].position)[0], as_numbers(self.position)[0]

    def uses(self) -> list[Use]:
        """The blobs that its events name, with their flows."""
        named = [(blobs_in(entry.raw), entry) for entry in self.entries if b'"sha256"' in entry.raw]
        return [
            (sha256, flow)
            for found, entry in named
            if found and (flow := flow_and_type(entry.raw)[0]) is not None
            for sha256 in found
        ]

    def days(self) -> set[int]:
        """The days, counted from 1970, that it has positions of."""
        return {as_numbers(entry.position)[0] // DAY_MS for entry in self.entries}


async def make_batch(partition: int, entries: Sequence[Entry]) -> Batch:
    """The batch of these entries (at least one); it ends before the first event of a newer version, and where
    snapshots begin or end, which say how a flow stands and not what becomes of it.

    Bytes that are no event are archived as such, and counted as far as they can be read; what is
    ``Uncounted`` is only archived.

    Raises:
        NewerEventError: the very first event is of a newer version.
    """
    batch = Batch(partition, entries)
    restates = False
    for index, entry in enumerate(entries):
        if index and index % _BREATH_EVENTS == 0:
            await asyncio.sleep(0)
        if type(entry) is Uncounted:
            batch.add_refused(entry, entry.why, None)
            continue
        ms, seq = as_numbers(entry.position)
        try:
            event = decode_event(entry.raw)
        except NewerEventError as error:
            if index == 0:
                raise NewerEventError(
                    f"partition {partition} is not projected beyond event {entry.position}: {error}"
                ) from None
            batch.entries = entries[:index]
            break
        except UNREADABLE as error:
            why = f"unreadable: {error}"
            batch.add_refused(entry, why, outline(entry.raw, why))
        else:
            if index and (type(event) is FlowSnapshot) != restates:
                batch.entries = entries[:index]
                break
            restates = type(event) is FlowSnapshot
            try:
                batch.changes.add(event, ms)
            except FAULTS as error:  # a snapshot that makes no sense
                batch.add_refused(entry, f"it cannot be counted: {told(error)}", None)
            else:
                batch.archive.add(ms, seq, entry.raw, event)
                batch.events.append(event)
    return batch


def make_refused_batch(partition: int, entry: Entry, why: str, *, counted: bool) -> Batch:
    """The batch of one event that Postgres refused: archived as bytes with the reason.

    ``counted``: its values are left out but its change of status counts; else it changes nothing.
    """
    batch = Batch(partition, [entry])
    event: AnyEvent | None = None
    if isinstance(entry, Uncounted):
        why = entry.why
    elif counted:
        try:
            event = without_values(decode_event(entry.raw), why)
        except UNREADABLE:
            event = outline(entry.raw, why)
    batch.add_refused(entry, why, event)
    return batch
