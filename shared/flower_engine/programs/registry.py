"""Programs by name: the decorator that registers them, and the registry a worker looks them up in.

Only what is registered runs; a name that comes from a task is looked up, never imported.
"""

import inspect
from collections.abc import Callable, Iterator
from enum import StrEnum
from functools import cached_property
from typing import Any, Literal, ParamSpec, Protocol, TypeVar, overload

from flower_engine.errors import ProgramError
from flower_engine.model.tasks.task_spec import MAX_NAME_LENGTH, WAIT_MARK
from flower_engine.programs.parameter_binding import Binder
from flower_engine.programs.program_types import Program
from flower_engine.programs.steps import give_steps

P = ParamSpec("P")
T = TypeVar("T")


class Kind(StrEnum):
    """Where a program runs."""

    ASYNC = "async"  # on the worker's event loop: for code that awaits
    THREAD = "thread"  # on a thread of the worker: for code that blocks on I/O
    PROCESS = "process"  # in a process of its own: for code that computes


KindWord = Literal["async", "thread", "process"]


class RegisteredProgram:
    """A callable under the name that workflows know it by."""

    def __init__(self, name: str, function: Callable[..., Any], kind: Kind) -> None:
        self.name = name
        self.function = function
        self.kind = kind

    @cached_property
    def binder(self) -> Binder:
        """How task parameters become its arguments; made late, when all of its module is defined.

        Raises:
            ProgramError: its signature cannot be served.
        """
        return Binder(self.name, self.function)

    @property
    def origin(self) -> str:
        """Where it is defined, for messages."""
        code = getattr(inspect.unwrap(self.function), "__code__", None)
        where = f" ({code.co_filename}:{code.co_firstlineno})" if code else ""
        return f"{_module_of(self.function)}.{_name_of(self.function) or self.name}{where}"


class Registry:
    """Programs by name, as one worker (or one test) knows them."""

    def __init__(self) -> None:
        self._programs: dict[str, RegisteredProgram] = {}

    def add(self, function: Callable[..., Any], name: str | None, kind: KindWord | None) -> RegisteredProgram:
        """Registers a callable; see :func:`program`.

        Raises:
            ProgramError: the name is taken or no name, or the callable cannot be run that way.
        """
        name = _name_of(function) if name is None else name
        if not name or len(name) > MAX_NAME_LENGTH or not name.isprintable() or not name.strip():
            raise ProgramError(
                f"{function!r} needs a name of 1 to {MAX_NAME_LENGTH} printable characters:"
                ' write @program("Name")'
            )
        if name.startswith(WAIT_MARK):
            raise ProgramError(
                f"{function!r} cannot be named {name!r}: a name that begins with {WAIT_MARK!r} is of"
                " tasks that no worker runs"
            )
        added = RegisteredProgram(name, function, _kind_of(name, function, kind))
        known = self._programs.setdefault(name, added)
        if known is not added and known.function is not function:
            raise ProgramError(
                f"two programs are named {name!r}: {known.origin} and {added.origin}; rename one with"
                ' @program("Name")'
            )
        return known

    def get(self, name: str) -> RegisteredProgram | None:
        """The program of this name, if it is registered."""
        return self._programs.get(name)

    def forget(self, name: str) -> None:
        """Makes the name free again: for notebooks and tests, where a program is written anew."""
        self._programs.pop(name, None)

    def __iter__(self) -> Iterator[RegisteredProgram]:
        return iter(list(self._programs.values()))


registry = Registry()
"""What :func:`program` registers in, and what a worker runs."""


class Register(Protocol):
    """``@program(...)`` with a name or a kind."""

    def __call__(self, function: Callable[P, T], /) -> Program[P, T]: ...


@overload
def program(function: Callable[P, T], /) -> Program[P, T]: ...


@overload
def program(name: str | None = None, /, *, kind: KindWord | None = None) -> Register: ...


def program(name: Any = None, /, *, kind: KindWord | None = None) -> Any:
    """Registers a function as a program: ``@program``, ``@program("Name")``, ``@program(kind="process")``.

    Without a name it is the function's own. Without a kind an ``async def`` runs on the event loop, any
    other function on a thread; ``kind="process"`` gives code that computes a process. The function itself
    is returned, with two attributes: ``step`` makes a task of a workflow, ``having`` sets options of that
    (:class:`~flower_engine.Program`).

    Raises:
        ProgramError: the name is taken (the message names both), or the kind does not fit.
    """
    if callable(name):
        return _registered(name, None, kind)

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        return _registered(function, name, kind)

    return register


def _registered(function: Callable[..., Any], name: str | None, kind: KindWord | None) -> Callable[..., Any]:
    give_steps(registry.add(function, name, kind).name, function)
    return function


def _kind_of(name: str, function: Callable[..., Any], kind: KindWord | None) -> Kind:
    target = function if inspect.isroutine(function) else getattr(function, "__call__", function)  # noqa: B004
    if inspect.isgeneratorfunction(target) or inspect.isasyncgenfunction(target):
        raise ProgramError(f"program {name!r} is a generator; a program returns its result once")
    is_async = inspect.iscoroutinefunction(target)
    if kind is None:
        return Kind.ASYNC if is_async else Kind.THREAD
    if kind == Kind.ASYNC and not is_async and not inspect.iscoroutinefunction(inspect.unwrap(function)):
        raise ProgramError(f"program {name!r} is not an async def, so its kind cannot be 'async'")
    if kind != Kind.ASYNC and is_async:
        raise ProgramError(f"program {name!r} is an async def; it runs on the event loop, not as {kind!r}")
    try:
        return Kind(kind)
    except ValueError:
        raise ProgramError(
            f"program {name!r} has kind {kind!r}; it is one of {', '.join(map(repr, Kind))}"
        ) from None


def _name_of(function: Callable[..., Any]) -> str:
    return getattr(function, "__name__", "")


def _module_of(function: Callable[..., Any]) -> str:
    return getattr(function, "__module__", None) or "?"
