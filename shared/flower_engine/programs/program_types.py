"""What type checkers know of a program: it is called as its function is, and makes steps of workflows."""

from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Concatenate, Generic, ParamSpec, TypeVar, overload

if TYPE_CHECKING:
    from flower_engine.model.tasks.durations import Duration
    from flower_engine.programs.task_options import OnFailure, RetryPolicy, Rule

P = ParamSpec("P")
T = TypeVar("T")
X = TypeVar("X")
R_co = TypeVar("R_co", covariant=True)


class _Step:
    """``.step``: of an ``async def`` it gives what awaiting it would. A descriptor and no method, because
    only so its parameters are checked one by one in every type checker, of generic programs, too."""

    @overload
    def __get__(
        self, program: "Program[P, Coroutine[Any, Any, T]]", owner: object = None
    ) -> Callable[P, T]: ...

    @overload
    def __get__(self, program: "Program[P, T]", owner: object = None) -> Callable[P, T]: ...

    def __get__(self, program: Any, owner: object = None) -> Any:
        raise NotImplementedError  # at run time a program is its function, with attributes


class _Map:
    """``.map``: the same with a list in the place of the first parameter, and a list of what calls give. (Of
    what can be called, since type checkers take the first parameter of nothing else apart.)"""

    @overload
    def __get__(
        self, program: Callable[Concatenate[X, P], Coroutine[Any, Any, T]], owner: object = None
    ) -> Callable[Concatenate[Sequence[X], P], list[T]]: ...

    @overload
    def __get__(
        self, program: Callable[Concatenate[X, P], T], owner: object = None
    ) -> Callable[Concatenate[Sequence[X], P], list[T]]: ...

    def __get__(self, program: Any, owner: object = None) -> Any:
        raise NotImplementedError  # at run time a program is its function, with attributes


class Program(Generic[P, R_co]):
    """What ``@program`` returns, for type checkers: at run time it is the function itself.

    ``R_co`` is what calling it returns: of an ``async def`` a coroutine.
    """

    if TYPE_CHECKING:
        __name__: str
        __qualname__: str

        step: ClassVar[_Step]
        """Makes a task of the workflow in whose body it is called. The result is typed as the program's, and
        is a :class:`~flower_engine.Ref` to it. Arguments are constants, or such references, at any depth."""

        map: ClassVar[_Map]
        """Makes a task that runs the program once for each element of a list, which takes the place of the
        first argument, by position; the others are the same for all. The result is typed as the list of what
        these return, in the order of the elements."""

        def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co: ...

        def having(
            self,
            *,
            name: str | None = None,
            retry: "RetryPolicy | None" = None,
            timeout: "Duration | None" = None,
            queue_timeout: "Duration | None" = None,
            queue: str | None = None,
            priority: int | None = None,
            units: int | None = None,
            max_rounds: int | None = None,
            rule: "Rule | None" = None,
            on_failure: "OnFailure | None" = None,
            stand_in: object = None,
            finally_: bool | None = None,
            after: Sequence[object] | None = None,
            key: str | None = None,
            limit: int | None = None,
            tolerate: float | None = None,
            aligned: bool | None = None,
        ) -> "Program[P, R_co]":
            """The program with these options for its steps, besides those that were given before.

            ``name``: of the task, unique in the workflow; else it is that of the variable, or the program's.
            ``timeout``: of one attempt; ``queue_timeout``: of the wait for a worker. ``priority``: -20..19,
            the lower goes first. ``units``: how much it counts against limits. ``max_rounds``: how often
            it may ``raise Again``, 1,000 times unless this says another number. ``after``: results of steps
            that must have ended before, though their values are not used. ``rule``: when it starts, by how
            the tasks before it end, ``"ready"`` or :func:`~flower_engine.at_least` for example.
            ``on_failure``: what follows its failure for good, ``"give_up"`` or :func:`~flower_engine.hold`
            for example; ``stand_in``: with ``"pass"`` what takes the place of its result. ``finally_``: it
            cleans up, so a cancel and the flow's timeout spare it, and it runs however those before it end.
            Of ``.map``: ``on_failure`` and ``stand_in`` are of each item; ``key`` is the field of an element
            by which items are told apart ("": the element itself; "a.b", or a JSON Pointer, for deeper ones);
            ``limit`` is how many items run at once; with ``tolerate`` items that fail for good are given up,
            and the map is held if they are more than so many, or than this share of all (0.01). ``aligned``:
            over the result of another map each item waits for the item of that with its index alone, which it
            does wherever that is possible; False: it waits for the whole list.

            Raises:
                DefinitionError: a value does not fit; names the option, and file and line.
            """
            ...
