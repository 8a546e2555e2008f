"""Chunks with where they came from: an entry of the stream of a partition, and their place in it."""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from flower_engine.model.values.positions import as_numbers
from flower_engine.task_logs.chunks import FIELD, BadChunk, Chunk, decode_entry

_LARGEST = 2**63 - 1  # of what tables take


class ArrivedChunk(NamedTuple):
    """A chunk; its entry is ``<ms>-<seq>``."""

    ms: int
    seq: int
    place: int
    chunk: Chunk


def arrived(
    entries: Iterable[tuple[bytes, Mapping[bytes, bytes]]], partition: int, flow: str | None = None
) -> Iterator[ArrivedChunk | BadChunk]:
    """The chunks of entries of a partition's stream, in order, whatever they hold; or only those of a flow,
    and then none that is bad."""
    own = f"{partition:03x}"  # as it stands in the ids of its flows
    needle = None if flow is None else flow.encode()
    for at, fields in entries:
        if needle is not None and needle not in fields.get(FIELD, b""):
            continue
        ms, seq = as_numbers(at.decode())
        if max(ms, seq) > _LARGEST:
            if flow is None:
                yield BadChunk(f"no worker writes an entry of the id {at.decode()}")
            continue
        for place, chunk in enumerate(decode_entry(fields)):
            if isinstance(chunk, BadChunk):
                if flow is None:
                    yield chunk
            elif chunk.flow[15:18] != own:
                if flow is None:
                    yield BadChunk(f"its flow {chunk.flow} is of another partition")
            elif flow in (None, chunk.flow):
                yield ArrivedChunk(ms, seq, place, chunk)
