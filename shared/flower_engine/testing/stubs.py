"""What takes the place of a program in a test."""

from collections.abc import Callable
from inspect import Signature
from typing import Any

import msgspec

from flower_engine.errors import ProgramError
from flower_engine.model.values.result_json import MAX_STORED_RESULT_BYTES, encode_result
from flower_engine.programs.parameter_binding import read_signature
from flower_engine.programs.parameter_conversion import strict_decoder, type_name
from flower_engine.programs.registry import RegisteredProgram
from flower_engine.programs.steps import Steps, steps_of
from flower_engine.testing.element_answers import ByElement
from flower_engine.testing.faults import StubError

For = tuple[str, str | None, str | None]
"""What a stub is for: a program, a task by its name, an item by its key; None: for all."""


class Hangs:
    """See :func:`hangs`."""

    def __repr__(self) -> str:
        return "hangs()"


def hangs() -> Hangs:
    """A stub that never ends: its attempt runs until its timeout, or until its worker is lost."""
    return Hangs()


class Stub:
    """What stands in for a program. ``calls``: the arguments that it was called with, in order."""

    def __init__(self, stands_for: For, program: RegisteredProgram | None, does: tuple[Any, ...]) -> None:
        """``does``: what it does in its attempts, in order; one thing alone is for all of them.

        Raises:
            StubError: a result does not fit the program.
        """
        name, task, key = stands_for
        if not does:
            raise StubError(f"the stub of {name} does nothing: give a result, an exception, or a function")
        self.calls: list[dict[str, Any]] = []
        if key == "":
            raise StubError(
                f"the stub of {name} is for an item without a key: leave out key=, or name an item's"
            )
        self._what = f"the stub of program {name!r}" + (f" for task {task!r}" if task else "")
        self._what += f" for item {key!r}" if key else ""
        self._does = does
        self._check = _checker(program)
        for one in does:
            if not (isinstance(one, Hangs | BaseException | ByElement) or callable(one)):
                self.check(one)

    def next(self, arguments: dict[str, Any]) -> Any:
        """What it does now: a result, an exception, a callable, or ``Hangs``.

        Raises:
            StubError: it was given fewer answers than it is asked for.
        """
        self.calls.append(arguments)
        if isinstance(self._does[0], ByElement):
            does, is_there = self._does[0].next(arguments)
            if not is_there:
                raise StubError(f"{self._what} has no answer left, and was called with {arguments!r}")
            return does
        if len(self._does) == 1:
            return self._does[0]
        if len(self.calls) > len(self._does):
            raise StubError(
                f"{self._what} has {len(self._does)} answers, and was called once more, with {arguments!r}"
            )
        return self._does[len(self.calls) - 1]

    def check(self, result: Any) -> None:
        """Returns if its program can return the result.

        Raises:
            StubError: its program cannot return it.
        """
        try:
            encoded = encode_result(result, MAX_STORED_RESULT_BYTES)
            if self._check is not None:
                self._check(encoded)
        except (ProgramError, msgspec.ValidationError, ValueError) as error:
            raise StubError(
                f"{self._what} gives {result!r:.200}, which its program cannot: {error}"
            ) from None

    def __repr__(self) -> str:
        return f"<{self._what}: {', '.join(map(repr, self._does))}>"


def program_name(program: object) -> str:
    """The name of a program, given as its function or by its name.

    Raises:
        StubError: it is neither; or it has options, which are of one step.
    """
    if isinstance(program, str):
        return program
    if isinstance(program, Steps):
        name = program.program
        raise StubError(
            f"what is given is {name}.having(...), whose options are of a step: give {name} itself"
        )
    steps = steps_of(program)
    if steps is None:
        raise StubError(f"{program!r} is no program: give a function under @program, or a program's name")
    return steps.program


def _checker(program: RegisteredProgram | None) -> Callable[[bytes], Any] | None:
    """Refuses JSON that is no result of the program; None: nothing is known of its results."""
    if program is None:
        return None
    annotation = read_signature(program.name, program.function).return_annotation
    if annotation is Signature.empty:
        return None
    try:
        decode = strict_decoder(annotation)
    except TypeError:  # its results are made into JSON, and read as something else
        return None
    if decode is None:
        return None

    def check(encoded: bytes) -> None:
        try:
            decode(encoded)
        except Exception as error:
            raise ValueError(f"it is no {type_name(annotation)}: {error}") from error

    return check
