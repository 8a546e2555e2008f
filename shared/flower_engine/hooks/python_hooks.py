"""Hooks that are Python functions: ``@hook``, and the registry of those that a service has imported.

A hook is called by its name only if its module, which the operator names in ``FLOWER_HOOK_MODULES``,
registered it; nothing is ever imported because a table or a call says so.
"""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from flower_engine.errors import ProgramError

Notification = dict[str, Any]
"""``{"id", "type", "timestamp", "hook", "data"}``, as a webhook's body has it."""
HookFunction = Callable[[Notification], Any] | Callable[[Notification], Awaitable[Any]]
F = TypeVar("F", bound=Callable[..., Any])

_registered: dict[str, HookFunction] = {}


def hook(name: str) -> Callable[[F], F]:
    """Registers a function under a name that hooks of the kind ``python`` have as their target. It is called
    with each notification, in a thread of its own; what it raises is tried again later, ``Fatal`` is not.

    Raises:
        ProgramError: another function has the name.
    """

    def register(function: F) -> F:
        known = _registered.get(name)
        if known is not None and _place(known) != _place(function):
            raise ProgramError(f"hook {name!r} is {_place(known)} already, and cannot be {_place(function)}")
        _registered[name] = function
        return function

    return register


def registered_hook(name: str) -> HookFunction | None:
    """The function of this name; None: no module that was imported registered it."""
    return _registered.get(name)


def registered_names() -> list[str]:
    """The names, in order."""
    return sorted(_registered)


def _place(function: Callable[..., Any]) -> str:
    return f"{getattr(function, '__module__', '?')}.{getattr(function, '__qualname__', repr(function))}"
