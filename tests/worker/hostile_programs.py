# ruff: noqa: N818
# pyright: reportIncompatibleVariableOverride=false, reportAssignmentType=false, reportArgumentType=false
# pyright: reportIncompatibleMethodOverride=false, reportAttributeAccessIssue=false
# pyright: reportUnknownArgumentType=false, reportUnknownLambdaType=false
"""Programs whose errors and results do what they can to break their own report."""

import itertools
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn

from flower_engine import Context, Retry, program


def broken(*_: object) -> Any:
    raise ZeroDivisionError("broken on purpose")


class BrokenText(str):
    __slots__ = ()
    __len__ = __str__ = __repr__ = __getitem__ = __format__ = broken


class BreaksItsMessage(Exception):
    def __str__(self) -> str:
        return BrokenText("broken")


class EndsTheProcess(Exception):
    def __str__(self) -> str:
        raise SystemExit(3)


class Interrupts(Exception):
    def __str__(self) -> str:
        raise KeyboardInterrupt


class Recurses(Exception):
    def __str__(self) -> str:
        return str(self)

    __repr__ = __str__


class BreaksItsClass(type):
    __module__ = __name__ = __mro__ = property(broken)
    __str__ = __repr__ = broken


class OfABrokenClass(Exception, metaclass=BreaksItsClass):
    pass


class AnswersNothing(type):
    __getattribute__ = broken


class OfASilentClass(Exception, metaclass=AnswersNothing):
    pass


class WithoutModule(Exception):
    __module__ = 7


class BreaksItsAttributes(Exception):
    __class__ = __traceback__ = __cause__ = __context__ = __notes__ = args = property(broken)


class OddTraceback(Exception):
    __traceback__ = 7
    __cause__ = "x"


class BrokenGroup(ExceptionGroup[Exception]):
    exceptions = property(broken)


class ForgetsItsTime(Retry):
    def __init__(self) -> None:
        pass


class BreaksItsTime(Retry):
    after_ms = property(broken, lambda *_: None)


def _cycle() -> NoReturn:
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    raise first


def _of_itself() -> NoReturn:
    error = ExceptionGroup("group", [member := ValueError("member")])
    member.__cause__ = error
    raise error


def _thousands() -> NoReturn:
    raise ExceptionGroup("many", [ValueError(str(number)) for number in range(20_000)])


def _doubling() -> NoReturn:
    group: Exception = ValueError("inner")
    for depth in range(60):
        group = ExceptionGroup(str(depth), [group, group])
    raise group


def _noted() -> NoReturn:
    error = ValueError("noted")
    error.__notes__ = [BrokenText("note"), object()]
    raise error


def _raising(error: type[BaseException], *arguments: Any) -> Callable[[], NoReturn]:
    def raise_it() -> NoReturn:
        raise error(*arguments)

    return raise_it


HOSTILE: dict[str, Callable[[], NoReturn]] = {
    "message": _raising(BreaksItsMessage),
    "exit": _raising(EndsTheProcess),
    "interrupt": _raising(Interrupts),
    "recursion": _raising(Recurses),
    "class": _raising(OfABrokenClass),
    "silent class": _raising(OfASilentClass),
    "no module": _raising(WithoutModule),
    "attributes": _raising(BreaksItsAttributes),
    "traceback": _raising(OddTraceback),
    "key": _raising(KeyError, BrokenText("k")),
    "group": _raising(BrokenGroup, "g", [ValueError("member")]),
    "cycle": _cycle,
    "group of itself": _of_itself,
    "thousands": _thousands,
    "doubling": _doubling,
    "notes": _noted,
    "no time": _raising(ForgetsItsTime),
    "broken time": _raising(BreaksItsTime),
}
"""By a word for each."""

Broken = {"__str__": broken, "__repr__": broken, "bit_length": broken, "__int__": broken, "__float__": broken}
BrokenInt = type("BrokenInt", (int,), Broken)
BrokenFloat = type("BrokenFloat", (float,), Broken)
BrokenDict = type("BrokenDict", (dict,), {"items": broken, "keys": broken, "__iter__": broken})


class Endless(Mapping[int, int]):
    def __getitem__(self, key: int) -> int:
        return key

    def __iter__(self) -> Iterator[int]:
        return itertools.count()

    def __len__(self) -> int:
        return 1


class Deeper:
    """Its JSON form holds another of its kind, without end."""

    def __fspath__(self) -> Any:
        return [Deeper()]


READABLE: list[tuple[Any, Any]] = [
    (BrokenText("ab"), "ab"),
    ([BrokenInt(7), BrokenFloat(1.5)], [7, 1.5]),
    (BrokenDict({BrokenText("k"): BrokenText("v")}), {"k": "v"}),
]
"""Results, and what they say as JSON."""
ENDLESS: list[Any] = [Endless(), [Endless()], Deeper()]

RESULTS: dict[str, Any] = {
    "text": [BrokenText("a")],
    "keys": {BrokenText("k"): 1, 2: 2},
    "endless": ENDLESS,
    "no number": [None, float("nan")],
    "no text": ["\ud800"],
    "not for Postgres": "a\0",
    "object": type("Odd", (), {"__fspath__": broken, "__class__": property(broken)})(),
    "raises": type("Exits", (), {"__fspath__": lambda _: sys.exit(4)})(),
}


class FromJson:
    """A parameter whose conversion ends the process."""

    @classmethod
    def model_validate(cls, _: object) -> "FromJson":
        raise SystemExit(5)


def _run(raises: str, returns: str, tells: str, context: Context) -> Any:
    if tells:
        context.progress(0.5, BrokenText(tells))
        return None
    return RESULTS[returns] if returns else HOSTILE[raises]()


@program
async def hostile_async(context: Context, raises: str = "", returns: str = "", tells: str = "") -> Any:
    return _run(raises, returns, tells, context)


@program
def hostile_thread(context: Context, raises: str = "", returns: str = "", tells: str = "") -> Any:
    return _run(raises, returns, tells, context)


@program(kind="process")
def hostile_process(context: Context, raises: str = "", returns: str = "", tells: str = "") -> Any:
    return _run(raises, returns, tells, context)


@program
async def convert_async(value: FromJson) -> None:
    pass


@program
def convert_thread(value: FromJson) -> None:
    pass


@program(kind="process")
def convert_process(value: FromJson) -> None:
    pass
