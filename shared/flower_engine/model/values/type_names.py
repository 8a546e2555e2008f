"""The names of types, as errors show them and ``no_retry_on`` matches them.

They are read past the type's own code: a metaclass may raise on ``__module__``, or answer with anything.
"""

from collections.abc import Iterator
from typing import Any

_SHORT = ("builtins", "flower_engine.errors")
_INNER = "flower_engine.model."  # nobody imports an error from there
_OWN_ERRORS = ("FlowerError", "ParameterError", "ProgramError")  # whose module is flower_engine itself
_ATTRIBUTES: dict[str, Any] = {
    name: type.__dict__[name] for name in ("__module__", "__name__", "__qualname__")
}
_BASES: Any = type.__dict__["__mro__"]


def type_name(kind: Any) -> str:
    """The name that people see: with the module, but for built-in types and Flower's own errors."""
    module, name = _read(kind, "__module__"), _read(kind, "__qualname__")
    is_short = (
        module in _SHORT or module.startswith(_INNER) or (module == "flower_engine" and name in _OWN_ERRORS)
    )
    return name if is_short else f"{module}.{name}"


def names_of(kind: Any) -> Iterator[str]:
    """Every name that the type or one that it derives from goes by, plain or with its module."""
    for base in _BASES.__get__(kind):
        yield _read(base, "__name__")
        yield f"{_read(base, '__module__')}.{_read(base, '__qualname__')}"


def _read(kind: Any, attribute: str) -> str:
    try:
        found = _ATTRIBUTES[attribute].__get__(kind)
    except AttributeError:  # somebody deleted it
        return "?"
    return str.__str__(found) if issubclass(type(found), str) else "?"
