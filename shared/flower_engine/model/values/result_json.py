"""Makes what a program returned into JSON of bounded size that Postgres' jsonb and every reader accept.

What JSON cannot carry (NaN, NUL, a lone surrogate, endless nesting, numbers beyond a double) is an error of
the program that returned it, with its place; nothing takes its place. Values of people's own subclasses
become plain ones, read by the methods of the type that they derive from: an own ``__str__`` or ``__len__``
may raise or say anything.
"""

import re
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, cast

import msgspec

from flower_engine.errors import ProgramError
from flower_engine.model.values.quoting import short
from flower_engine.model.values.storable import MAX_DEPTH, Unstorable, lost_in, unstorable_in
from flower_engine.model.values.type_names import type_name

MAX_RESULT_BYTES = 1 << 20
MAX_STORED_RESULT_BYTES = 64 << 20  # where there is a store of blobs for those above some KiB
MAX_MESSAGE_CHARACTERS = 8 * 1024
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
    """The rest: values that msgspec does not know are made plain, what JSON cannot carry is found, and the
    size is judged.

    Raises:
        ProgramError: it has no JSON form, holds what JSON cannot carry, or is larger than ``most_bytes``.
    """
    if value is None:
        return encoded
    if len(encoded) > most_bytes:
        raise _too_large(f"{len(encoded)} bytes", most_bytes)
    if not encoded:
        encoded = _encode(_checked(_Plain(most_bytes).made(value, ())))
        if len(encoded) > most_bytes:
            raise _too_large(f"{len(encoded)} bytes", most_bytes)
        return encoded
    lost = lost_in(value, encoded, to_json)
    if lost is not None:
        raise _unstorable(lost)
    if not _is_safe(value, encoded):
        try:
            written = msgspec.json.decode(encoded)
        except RecursionError:
            raise ProgramError(f"{_TOO_DEEP}: the result") from None
        except (
            ValueError,
            msgspec.MsgspecError,
        ) as error:  # of a msgspec.Raw inside, or a number of thousands
            raise ProgramError(f"the result holds what is no JSON, or numbers too long: {error}") from None
        _checked(written)
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
    try:
        msgspec.json.decode(encoded)  # a msgspec.Raw inside the value may hold anything
    except (ValueError, RecursionError, msgspec.MsgspecError):
        return False
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


class _Plain:
    """Rebuilds a value from what JSON has; slow, and only for values that msgspec does not take."""

    def __init__(self, most_bytes: int) -> None:
        self._nodes = 0
        self._most_bytes = most_bytes

    def made(self, value: Any, path: tuple[Any, ...]) -> Any:
        """The value rebuilt; ``path`` leads to it in the result."""
        self._nodes += 1
        if self._nodes > _MAX_VALUES:
            raise _too_large(f"more than {_MAX_VALUES} values that must be read one by one", self._most_bytes)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return _joined(str.__str__(value))
        if isinstance(value, float):
            return float.__float__(value)
        if isinstance(value, int):
            return int.__index__(value)
        if len(path) >= MAX_DEPTH:
            raise ProgramError(f"{_TOO_DEEP}: {_at(path[:3])}...")
        if isinstance(value, Mapping):
            return self._made_of_mapping(cast("Mapping[Any, Any]", value), path)
        if isinstance(value, list | tuple | set | frozenset):
            items = enumerate(cast("Iterable[Any]", value))
            return [self.made(item, (*path, index)) for index, item in items]
        return self._made_of_other(value, path)

    def _made_of_mapping(self, value: Mapping[Any, Any], path: tuple[Any, ...]) -> dict[str, Any]:
        plain: dict[str, Any] = {}
        for key, item in _items_of(value):
            name = _name_of(key, path)
            if name in plain:
                raise ProgramError(f"{_at(path)} has two keys that are both {short(name)!r} as JSON")
            plain[name] = self.made(item, (*path, name))
        return plain

    def _made_of_other(self, value: Any, path: tuple[Any, ...]) -> Any:
        """Structs, dataclasses, dates, bytes, enums...: one step closer to JSON, then made again."""
        try:
            if isinstance(value, msgspec.Raw):
                plain: Any = msgspec.json.decode(value)
            else:
                plain = msgspec.to_builtins(value, enc_hook=to_json, str_keys=True)
        except (TypeError, ValueError, RecursionError, msgspec.MsgspecError) as error:
            if isinstance(error, UnicodeEncodeError):  # somewhere in it: the text itself says where
                self._check_fields(value, path)
            raise ProgramError(
                f"{_at(path)} is of type {type_name(type(value))}, which has no JSON form ({error}); return"
                " text, numbers, lists, dicts, dates, dataclasses or structs"
            ) from error
        return self.made(plain, path)

    def _check_fields(self, value: Any, path: tuple[Any, ...]) -> None:
        """Finds in the fields of an object what JSON cannot carry."""
        kind = cast("Any", type(value))
        names = getattr(kind, "__struct_fields__", None) or getattr(kind, "__dataclass_fields__", ())
        fields = {str(name): getattr(value, name, None) for name in names}
        _checked(self.made(fields, path), path)


_TOO_DEEP = f"it is nested deeper than {MAX_DEPTH} levels, or holds itself; return something flatter"


def _checked(plain: Any, path: tuple[Any, ...] = ()) -> Any:
    """The value, if JSON can carry it.

    Raises:
        ProgramError: it cannot; names the place, and what to return.
    """
    fault = unstorable_in(plain, MAX_INTEGER_BITS)
    if fault is not None:
        raise _unstorable(fault._replace(path=(*path, *fault.path)))
    return plain


def _unstorable(fault: Unstorable) -> ProgramError:
    return ProgramError(f"{_at(fault.path)} {fault.what}; return {fault.instead}")


def _at(path: Iterable[Any]) -> str:
    return "result" + "".join(f"[{step!r:.100}]" for step in path)


def _joined(text: str) -> str:
    """Text in which two surrogates that make a character are that character; lone ones stay."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def _name_of(key: Any, path: tuple[Any, ...]) -> str:
    """A key as JSON has it."""
    if isinstance(key, str):
        return _joined(str.__str__(key))
    try:
        (name,) = msgspec.to_builtins({key: None}, str_keys=True)
    except (TypeError, ValueError, msgspec.MsgspecError):
        raise ProgramError(
            f"{_at(path)} has a key of type {type_name(type(key))}, which JSON does not have; keys are text,"
            " numbers, dates or enums"
        ) from None
    return name


def _items_of(value: Any) -> Iterable[tuple[Any, Any]]:
    return dict.items(value) if isinstance(value, dict) else value.items()  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]


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
