"""``.step``, ``.map`` and ``.having`` of a program at run time. What a step becomes is up to the workflow
that is being defined (``authoring/``), which a worker never imports."""

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, Protocol

from flower_engine.errors import DefinitionError
from flower_engine.programs.call_site import call_site


class Definer(Protocol):
    """A workflow whose body runs just now."""

    def add_step(
        self,
        program: str,
        function: Callable[..., Any],
        options: Mapping[str, Any],
        arguments: tuple[tuple[Any, ...], Mapping[str, Any]],
    ) -> Any:
        """Makes a task; the reference to its result."""
        ...

    def add_map(
        self,
        program: str,
        function: Callable[..., Any],
        options: Mapping[str, Any],
        arguments: tuple[tuple[Any, ...], Mapping[str, Any]],
    ) -> Any:
        """Makes a task that runs the program for each element of its first argument; the reference to the
        list of what these come to."""
        ...


being_defined: ContextVar[Definer | None] = ContextVar("flower_being_defined", default=None)
"""The workflow whose body runs."""


class Steps:
    """A program with options for its steps."""

    def __init__(self, program: str, function: Callable[..., Any], options: Mapping[str, Any]) -> None:
        self.program = program
        self.function = function
        self._options = options

    def step(self, *args: Any, **kwargs: Any) -> Any:
        """Makes a task of the workflow that is being defined; see :class:`~flower_engine.Program`.

        Raises:
            DefinitionError: it is called outside the body of a workflow, or its arguments do not fit.
        """
        definer = self._definer("step")
        return definer.add_step(self.program, self.function, self._options, (args, kwargs))

    def map(self, *args: Any, **kwargs: Any) -> Any:
        """Makes a task that runs the program for each element of a list; see :class:`~flower_engine.Program`.

        Raises:
            DefinitionError: it is called outside the body of a workflow, or its arguments do not fit.
        """
        definer = self._definer("map")
        return definer.add_map(self.program, self.function, self._options, (args, kwargs))

    def _definer(self, verb: str) -> Definer:
        definer = being_defined.get()
        if definer is not None:
            return definer
        fault = (
            f"{call_site()}: {self.program}.{verb}() makes a task of a workflow, so it stands in the"
            f" body of a function under @workflow; to run the program here, call it: {self.program}()"
        )
        raise DefinitionError("", [fault])

    def having(self, **options: Any) -> "Steps":
        """The same program with these options, too; see :class:`~flower_engine.Program`."""
        # A worker's start does without: most programs have no options where they stand.
        from flower_engine.programs.task_options import checked_options  # noqa: PLC0415

        checked = checked_options(f"{self.program}.having", options)
        return Steps(self.program, self.function, {**self._options, **checked})

    def __call__(self, *_args: Any, **_kwargs: Any) -> Any:
        raise DefinitionError(
            "",
            [
                f"{call_site()}: {self.program}.having(...) is for steps: write"
                f" {self.program}.having(...).step(...), or .map(...)"
            ],
        )


def give_steps(program: str, function: Callable[..., Any]) -> None:
    """Sets ``step``, ``map`` and ``having`` of the function, unless it has such names of its own, or can
    have none."""
    steps = Steps(program, function, {})
    for name in ("step", "map", "having"):
        if hasattr(function, name) and steps_of(function) is None:
            return
    try:
        function.step = steps.step  # pyright: ignore[reportFunctionMemberAccess]
        function.map = steps.map  # pyright: ignore[reportFunctionMemberAccess]
        function.having = steps.having  # pyright: ignore[reportFunctionMemberAccess]
    except (AttributeError, TypeError):  # bound methods, functions in C, objects with slots
        return


def steps_of(function: object) -> Steps | None:
    """The steps that a program was given; None: it is no program."""
    owner = getattr(getattr(function, "step", None), "__self__", None)
    return owner if isinstance(owner, Steps) else None
