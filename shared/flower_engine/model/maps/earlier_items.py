"""The items that a map had before it was expanded anew: what of them those that it gets now take over.

An item is the same as an earlier one of its map if it is given the same: its program and all that it takes,
of which its key is a part. One that goes along the item of another map takes the result of that; so it is the
same only behind one that takes over a result itself. Where several are the same, each earlier one is taken
over once.
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import Any

import msgspec

from flower_engine.model.definitions.definition import PlannedTask
from flower_engine.model.values.blob_ref import BlobRef

_encode_sorted = msgspec.json.Encoder(order="sorted").encode
_encode = msgspec.json.Encoder().encode
_INPUT_BYTES = 12
NULL = msgspec.Raw(b"null")


class EarlierItem(msgspec.Struct, frozen=True, omit_defaults=True):
    """An item that has vanished, and finished before: its number, a digest of what it was given, and its
    result, or where that lies. Of a fork, one of the flow that it is forked from: the number is below 0, and
    so is, in the digest, that of the item which it went along."""

    seq: int
    input: str
    result: msgspec.Raw = NULL
    blob: BlobRef | None = None


class TakenItem(msgspec.Struct, frozen=True, omit_defaults=True):
    """Of an expansion, the item at ``index`` (from 0 on, those of all of its maps): it takes over the result
    of the earlier item ``of``."""

    index: int
    of: int
    result: msgspec.Raw = NULL
    blob: BlobRef | None = None


_decode = msgspec.json.Decoder(tuple[EarlierItem, ...]).decode


def input_of(program: str, parameters: dict[str, Any], over: int = 0) -> str:
    """A digest of what an item is given; ``over``: the item that it goes along (0: none)."""
    return blake2b(_encode_sorted([program, parameters, over]), digest_size=_INPUT_BYTES).hexdigest()


def input_of_item(item: PlannedTask) -> str:
    """The same of an item of a flow."""
    return input_of(item.program, item.parameters, over_of(item))


def over_of(item: PlannedTask) -> int:
    """The item that an item goes along; 0: none."""
    return next(iter(item.reads.values()), 0)


def earlier_text(items: Sequence[EarlierItem]) -> bytes:
    """Earlier items as Redis holds them while their map is to be expanded."""
    return _encode(items)


def read_earlier(text: bytes | str) -> tuple[EarlierItem, ...]:
    """Those of such a text; empty: there are none."""
    return _decode(text) if text else ()


def same(inputs: Iterable[str | None], earlier: Sequence[EarlierItem]) -> Iterator[EarlierItem | None]:
    """For each item, by what it is given (None: nobody can say yet), the earlier one that is the same; None:
    there is none, or another one has taken it over."""
    left: dict[str, deque[EarlierItem]] = defaultdict(deque)
    for one in earlier:
        left[one.input].append(one)
    for given in inputs:
        found = None if given is None else left.get(given)
        yield found.popleft() if found else None
