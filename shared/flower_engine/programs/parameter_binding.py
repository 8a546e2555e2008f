"""Task parameters to keyword arguments: names are matched and values converted, compiled once a program."""

import inspect
from collections.abc import Callable, Mapping
from types import UnionType
from typing import Any, Union, get_args, get_origin

import msgspec

from flower_engine.errors import ParameterError, ProgramError
from flower_engine.programs.context import Context
from flower_engine.programs.parameter_conversion import Convert, converter, type_name
from flower_engine.programs.signature import Signature, words_of

_SHOWN_CHARACTERS = 100


class Provenance(msgspec.Struct, frozen=True):
    """Where the value of a parameter comes from, if not from the task itself: words that stand behind its
    name. What holds a secret is never shown, nor what a conversion says of it."""

    text: str
    is_secret: bool = False


_OWN: Mapping[str, Provenance] = {}


class _Parameter(msgspec.Struct, frozen=True):
    name: str
    annotation: Any
    convert: Convert | None


class Binder:
    """Makes a program's keyword arguments.

    A parameter is found by its exact name, else by its name without regard to case, because the table's
    keys are in capitals: ``SLEEP_TIME_SECOND`` is ``sleep_time_second``.
    """

    def __init__(self, program: str, function: Callable[..., Any]) -> None:
        """Reads the signature.

        Raises:
            ProgramError: an annotation cannot be resolved, or no value could ever be given.
        """
        self.program = program
        self.context_parameter: str | None = None
        self._exact: dict[str, _Parameter] = {}
        self._folded: dict[str, _Parameter | None] = {}
        self._extra: _Parameter | None = None
        self._required: list[str] = []
        for parameter in read_signature(program, function).parameters.values():
            self._add(parameter)

    def bind(self, given: Mapping[str, Any], provenance: Mapping[str, Provenance] = _OWN) -> dict[str, Any]:
        """The keyword arguments for these task parameters; the context is the caller's to add. ``provenance``
        says of those whose values come from elsewhere where that is, for errors.

        Raises:
            ParameterError: a parameter is missing, unknown, given twice, or does not convert.
        """
        if not given and not self._required:
            return {}
        arguments: dict[str, Any] = {}
        for key, value in given.items():
            parameter = self._find(key, given)
            if parameter is None:
                raise ParameterError(f"program {self.program!r} has no parameter {key!r}; {self._known()}")
            name = key if parameter is self._extra else parameter.name
            if name in arguments:
                raise ParameterError(f"program {self.program!r}: parameter {name!r} is given more than once")
            arguments[name] = self._converted(parameter, key, value, provenance)
        missing = [name for name in self._required if name not in arguments]
        if missing:
            raise ParameterError(
                f"program {self.program!r} needs {', '.join(map(repr, missing))}, which the task does not"
                f" give; {self._known()}"
            )
        return arguments

    @property
    def signature(self) -> Signature:
        """What the program takes, for those who cannot import it."""
        return Signature(
            parameters={name: words_of(known.annotation) for name, known in self._exact.items()},
            required=tuple(self._required),
            extra=None if self._extra is None else words_of(self._extra.annotation),
            context=self.context_parameter or "",
        )

    def _add(self, parameter: inspect.Parameter) -> None:
        name = parameter.name
        if parameter.kind is parameter.VAR_POSITIONAL:
            return
        if parameter.kind is parameter.POSITIONAL_ONLY:
            if parameter.default is parameter.empty:
                raise ProgramError(
                    f"program {self.program!r}: parameter {name!r} is positional-only, but"
                    " parameters are given by name"
                )
            return
        if is_context(parameter.annotation):
            self.context_parameter = name
            return
        try:
            known = _Parameter(name, parameter.annotation, converter(parameter.annotation))
        except TypeError as error:
            raise ProgramError(
                f"program {self.program!r}: parameter {name!r} has a type that no JSON value"
                f" converts to: {error}"
            ) from error
        if parameter.kind is parameter.VAR_KEYWORD:
            self._extra = known
            return
        self._exact[name] = known
        folded = name.casefold()
        self._folded[folded] = None if folded in self._folded else known
        if parameter.default is parameter.empty:
            self._required.append(name)

    def _find(self, key: str, given: Mapping[str, Any]) -> _Parameter | None:
        parameter = self._exact.get(key)
        if parameter is not None:
            return parameter
        parameter = self._folded.get(key.casefold())
        if parameter is not None and parameter.name not in given:
            return parameter
        return None if key == self.context_parameter else self._extra

    def _converted(
        self, parameter: _Parameter, key: str, value: Any, provenance: Mapping[str, Provenance] = _OWN
    ) -> Any:
        if parameter.convert is None:
            return value
        try:
            return parameter.convert(value)
        except Exception as error:
            origin = provenance.get(key)
            wanted = type_name(parameter.annotation)
            if origin is not None and origin.is_secret:
                raise ParameterError(
                    f"program {self.program!r}: parameter {key!r}, {origin.text}, does not convert to"
                    f" {wanted}"
                ) from None
            shown = repr(value)
            if len(shown) > _SHOWN_CHARACTERS:
                shown = shown[:_SHOWN_CHARACTERS] + "..."
            where = f", {origin.text}," if origin is not None else ""
            raise ParameterError(
                f"program {self.program!r}: parameter {key!r}{where} has the value {shown}, which does not"
                f" convert to {wanted}: {error}"
            ) from error

    def _known(self) -> str:
        names = [name if name in self._required else f"{name} (optional)" for name in self._exact]
        return "it takes " + (", ".join(names) if names else "no parameters")


def read_signature(program: str, function: Callable[..., Any]) -> inspect.Signature:
    """The signature, with its annotations as types.

    Raises:
        ProgramError: an annotation cannot be resolved, or Python cannot read the signature.
    """
    try:
        return inspect.signature(function, eval_str=True)
    except NameError as error:
        raise ProgramError(
            f"program {program!r}: an annotation cannot be resolved ({error}); import its type at run"
            " time, not only for type checking"
        ) from error
    except ValueError as error:
        raise ProgramError(f"program {program!r} has no signature that Python can read: {error}") from error


def is_context(annotation: Any) -> bool:
    """Whether a parameter of this type is given the context."""
    if get_origin(annotation) in (Union, UnionType):
        return Context in get_args(annotation)
    return annotation is Context
