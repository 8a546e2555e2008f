"""Makes what a program returned into JSON of bounded size that Postgres' jsonb accepts.

Jsonb refuses NUL and lone surrogates (both become U+FFFD here) and very deep nesting (cut here). NaN and
infinities become null, as in JavaScript. Values of people's own subclasses become plain ones, read by the
methods of the type that they derive from: an own ``__str__`` or ``__len__`` may raise or say anything.
"""

import re
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, cast

import msgspec

from flower_engine.errors import ProgramError
from flower_engine.model.type_names import type_name

MAX_RESULT_BYTES = 1 << 20
MAX_STORED_RESULT_BYTES = 64 << 20  # where there is a store of blobs for those above some KiB
MAX_MESSAGE_CHARACTERS = 8 * 1024
MAX_DEPTH = 100
MAX_INTEGER_BITS = 1024  # as large as a double can be; readers of JSON break on longer numbers

_MAX_VALUES = 100_000  # that are cleaned one by one: a result must not keep an event loop for long
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"')
_LONG_NUMBER = re.compile(rb"\d{309}")
_TO_BRACKETS = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def encode_result(value: object, most_bytes: int = MAX_RESULT_BYTES) -> bytes:
    """The JSON of a program's return value.

    Raises:
        ProgramError: it has no JSON form, or is larger than ``most_bytes``.
    """
    return finish_result(value, begin_result(value), most_bytes)


def begin_result(value: object) -> bytes:
    """The fast part of that, so that whoever must not be kept long can see how much is left to do; b"" where
    the value has no such JSON."""
    if value is None:
        return b"null"
    try:
        return _encode(value)
    except (TypeError, ValueError, RecursionError, OverflowError, msgspec.MsgspecError):
        return b""


def finish_result(value: object, encoded: bytes, most_bytes: int = MAX_RESULT_BYTES) -> bytes:
    """The rest: what jsonb and other readers do not take is cleaned, and the size is judged.

    Raises:
        ProgramError: it has no JSON form, or is larger than ``most_bytes``.
    """
    if value is None:
        return encoded
    if len(encoded) > most_bytes:
        raise _too_large(f"{len(encoded)} bytes", most_bytes)
    try:
        safe = bool(encoded) and _is_safe(value, encoded)
    except (ValueError, RecursionError, msgspec.MsgspecError):
        safe = False
    if not safe:
        encoded = _encode(_Cleaner(most_bytes).clean(value, 0, "result"))
        if len(encoded) > most_bytes:
            raise _too_large(f"{len(encoded)} bytes", most_bytes)
    return encoded


def clean_text(text: str, most: int) -> str:
    """Text that jsonb accepts; of more than ``most`` characters the middle is cut out, with a mark."""
    text = str.__str__(text)  # of a subclass the plain text: its own methods may raise
    if len(text) > most:
        half = most // 2
        text = f"{text[:half]}\n... [{len(text) - 2 * half} characters cut] ...\n{text[-half:]}"
    if "\0" in text:
        text = text.replace("\0", _REPLACEMENT)
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _is_safe(value: object, encoded: bytes) -> bool:
    """Whether jsonb and every reader take these bytes as they are; False when in doubt."""
    if b"\\u0000" in encoded:
        return False
    if type(value) in (str, bool, float):
        return True
    if len(encoded) > 309 and _LONG_NUMBER.search(encoded):
        return False
    if type(value) is int:
        return True
    msgspec.json.decode(encoded)  # a msgspec.Raw inside the value may hold anything
    return _is_shallow(encoded)


def _is_shallow(encoded: bytes) -> bool:
    """Whether this valid JSON is nested at most ``MAX_DEPTH`` deep."""
    if encoded.count(b"[") + encoded.count(b"{") <= MAX_DEPTH:
        return True
    brackets = _STRINGS.sub(b"", encoded).translate(_TO_BRACKETS, _NO_BRACKETS)
    for _ in range(MAX_DEPTH):
        brackets = brackets.replace(b"[]", b"")  # takes the innermost level away
        if not brackets:
            return True
    return False


class _Cleaner:
    """Rebuilds a value from what jsonb holds; slow, and only for values that need it."""

    def __init__(self, most_bytes: int) -> None:
        self._nodes = 0
        self._most_bytes = most_bytes

    def clean(self, value: Any, depth: int, path: str) -> Any:
        """The value rebuilt; ``path`` says where it stands in the result."""
        self._nodes += 1
        if self._nodes > _MAX_VALUES:
            raise _too_large(f"more than {_MAX_VALUES} values that must be cleaned", self._most_bytes)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return clean_text(value, 2 * self._most_bytes)
        if isinstance(value, float):
            return float.__float__(value)
        if isinstance(value, int):
            return _clean_integer(value)
        if depth >= MAX_DEPTH:
            return f"[nested deeper than {MAX_DEPTH}]"
        if isinstance(value, Mapping):
            return self._clean_mapping(cast("Mapping[Any, Any]", value), depth, path)
        if isinstance(value, list | tuple | set | frozenset):
            items = enumerate(cast("Iterable[Any]", value))
            return [self.clean(item, depth + 1, f"{path}[{index}]") for index, item in items]
        return self._clean_other(value, depth, path)

    def _clean_mapping(self, value: Mapping[Any, Any], depth: int, path: str) -> dict[str, Any]:
        cleaned: dict[str, Any] = {}
        for key, item in _items_of(value):
            name = clean_text(key if isinstance(key, str) else str(key), MAX_MESSAGE_CHARACTERS)
            cleaned[name] = self.clean(item, depth + 1, f"{path}[{name!r}]")
        return cleaned

    def _clean_other(self, value: Any, depth: int, path: str) -> Any:
        """Structs, dataclasses, dates, bytes, enums...: one step closer to JSON, then cleaned again."""
        try:
            if isinstance(value, msgspec.Raw):
                plain: Any = msgspec.json.decode(value)
            else:
                plain = msgspec.to_builtins(value, enc_hook=to_json, str_keys=True)
        except (TypeError, ValueError, RecursionError, msgspec.MsgspecError) as error:
            raise ProgramError(
                f"{path} is of type {type_name(type(value))}, which has no JSON form ({error}); return text,"
                " numbers, lists, dicts, dates, dataclasses or structs"
            ) from error
        return self.clean(plain, depth, path)


def _items_of(value: Any) -> Iterable[tuple[Any, Any]]:
    return dict.items(value) if isinstance(value, dict) else value.items()  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]


def _clean_integer(value: int) -> int | str:
    bits = int.bit_length(value)
    if bits <= MAX_INTEGER_BITS:
        return int.__index__(value)
    try:
        return int.__repr__(value)
    except ValueError:  # Python refuses to write more than some thousand digits
        return f"[integer of {bits} bits]"


def to_json(value: Any) -> Any:
    """The JSON form of types that msgspec does not know: paths, mappings, pydantic models."""
    path = getattr(value, "__fspath__", None)
    if path is not None:
        return path()
    own_form = getattr(value, "__flower_json__", None)
    if own_form is not None:  # a Blob
        return own_form()
    if isinstance(value, Mapping):
        found = dict(islice(cast("Mapping[Any, Any]", value).items(), _MAX_VALUES + 1))
        if len(found) > _MAX_VALUES:  # it may have no end
            raise _too_large(f"a mapping with more than {_MAX_VALUES} keys", MAX_RESULT_BYTES)
        return found
    dump = getattr(value, "model_dump", None)
    if dump is not None:
        return dump(mode="json")
    raise TypeError(f"objects of type {type_name(type(value))} are not JSON")


_encode = msgspec.json.Encoder(enc_hook=to_json).encode


def _too_large(size: str, most_bytes: int) -> ProgramError:
    hint = "Return it as a Blob, or store it elsewhere and return where it is"
    if most_bytes <= MAX_RESULT_BYTES:
        hint = (
            "Store it elsewhere and return where it is, or set up a store of blobs for what is larger:"
            " FLOWER_BLOBS of the workers (docs/operations.md, 'Blobs')"
        )
    return ProgramError(f"the result is {size}; at most {most_bytes} bytes of JSON are kept. {hint}")
