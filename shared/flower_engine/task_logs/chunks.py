"""Chunks: consecutive lines of an attempt, and how they travel in the stream ``{flower:P}:tasklog``.

An entry of the stream has one field, ``c``: chunks of any number of attempts as JSON, at most
``MAX_ENTRY_BYTES`` of it. So a worker that runs thousands of small tasks a second adds a few entries a
second, not thousands. An entry may come twice (its first answer was lost): then its chunks are equal, and the
attempt with the number of the first line names a chunk. The numbers of the lines that an attempt has in one
chunk are consecutive; where the next chunk begins higher, lines are missing, and ``skipped`` says how many of
them the worker left out on purpose just before its first line.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated

import msgspec

from flower_engine.model.values.ids import is_flow_id, partition_of
from flower_engine.secrets import hide_secrets
from flower_engine.task_logs.lines import Line

FIELD = b"c"
MAX_ENTRY_BYTES = 64 * 1024
_MOST_READ_BYTES = 4 * MAX_ENTRY_BYTES  # of what somebody else may have written
_NUMBER = Annotated[int, msgspec.Meta(ge=1, le=(1 << 31) - 1)]


class Chunk(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Consecutive lines of one attempt; there is at least one."""

    flow: str
    task: _NUMBER
    attempt: _NUMBER
    lines: Annotated[list[Line], msgspec.Meta(min_length=1)]
    skipped: Annotated[int, msgspec.Meta(ge=0, le=1 << 53)] = 0


class BadChunk(msgspec.Struct, frozen=True):
    """What stood in the place of a chunk, or of a whole entry, and is none: why, for a service's log."""

    why: str


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[Chunk]).decode
_decode_apart = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_one = msgspec.json.Decoder(Chunk).decode


def encode_chunk(chunk: Chunk) -> bytes:
    """One chunk as it stands in an entry."""
    return _encode(chunk)


def encode_only_line(flow: bytes, task: bytes, attempt: int, line: Line) -> bytes:
    """The chunk of an attempt's only line, encoded; ``flow`` and ``task`` as ASCII. The same as
    :func:`encode_chunk` makes of it, in half the time."""
    return b'["%b",%b,%d,[%b],0]' % (flow, task, attempt, _encode(line))


def encode_entries(chunks: Iterable[Chunk | bytes]) -> Iterator[bytes]:
    """The values of the field ``c`` of as many entries as it takes, of chunks and of encoded ones; a chunk
    that is too long for one becomes several."""
    parts: list[bytes] = []
    size = 2
    for encoded in _encoded(chunks):
        if parts and size + len(encoded) + 1 > MAX_ENTRY_BYTES:
            yield b"[" + b",".join(parts) + b"]"
            parts, size = [], 2
        parts.append(encoded)
        size += len(encoded) + 1
    if parts:
        yield b"[" + b",".join(parts) + b"]"


def partition_of_chunk(chunk: Chunk | bytes) -> int:
    """The partition that the flow of a chunk, or of an encoded one, lives in."""
    return int(chunk[17:20], 16) if isinstance(chunk, bytes) else partition_of(chunk.flow)


def without_secrets(entry: bytes) -> Iterable[bytes]:
    """An entry, or those that it becomes when Flower's own passwords and tokens are hidden in its lines. The
    entry has to be one of ``encode_entries``."""
    # Mostly there is nothing to hide, and where JSON changes no character that is seen without decoding it.
    if b"\\" not in entry:
        text = entry.decode()
        if hide_secrets(text) == text:
            return [entry]
    chunks = _decode(entry)
    whole = "\n".join([line.text for chunk in chunks for line in chunk.lines])
    if hide_secrets(whole) == whole:
        return [entry]
    return encode_entries(map(_hidden, chunks))


def decode_entry(fields: Mapping[bytes, bytes]) -> list[Chunk | BadChunk]:
    """The chunks of an entry, whatever it holds: what is none is a :class:`BadChunk` in its place."""
    raw = fields.get(FIELD)
    if raw is None:
        return [BadChunk("the entry has no field c")]
    if len(raw) > _MOST_READ_BYTES:
        return [BadChunk(f"the entry has {len(raw)} bytes, which are more than any worker writes")]
    try:
        return [_checked(chunk) for chunk in _decode(raw)]
    except (ValueError, RecursionError, msgspec.MsgspecError):
        pass
    try:
        return [_decoded(one) for one in _decode_apart(raw)]
    except (ValueError, RecursionError, msgspec.MsgspecError) as error:
        return [BadChunk(f"the entry is no JSON array: {error}")]


def _hidden(chunk: Chunk) -> Chunk:
    replace = msgspec.structs.replace
    return replace(chunk, lines=[replace(line, text=hide_secrets(line.text)) for line in chunk.lines])


def _encoded(chunks: Iterable[Chunk | bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        if isinstance(chunk, bytes):
            yield chunk
            continue
        encoded = _encode(chunk)
        if len(encoded) + 2 > MAX_ENTRY_BYTES and len(chunk.lines) > 1:
            half = len(chunk.lines) // 2
            first = msgspec.structs.replace(chunk, lines=chunk.lines[:half])
            yield from _encoded([first, msgspec.structs.replace(chunk, lines=chunk.lines[half:], skipped=0)])
        else:
            yield encoded


def _decoded(raw: msgspec.Raw) -> Chunk | BadChunk:
    try:
        return _checked(_decode_one(raw))
    except (ValueError, RecursionError, msgspec.MsgspecError) as error:
        return BadChunk(f"it is no chunk: {error}")


def _checked(chunk: Chunk) -> Chunk | BadChunk:
    if not is_flow_id(chunk.flow):
        return BadChunk("its flow is no id of a flow")
    number = chunk.lines[0].number
    for line in chunk.lines:
        if line.number != number:
            return BadChunk(f"its lines are not consecutive: {line.number} stands behind {number - 1}")
        if "\0" in line.text or "\0" in line.logger:
            return BadChunk(f"line {number} holds a NUL")
        number += 1
    return chunk
