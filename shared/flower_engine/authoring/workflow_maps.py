"""``.map`` of a workflow, as type checkers and Python have it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
X = TypeVar("X")
X_contra = TypeVar("X_contra", contravariant=True)
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Mapped(Protocol[X_contra, P, T_co]):
    """A workflow, by its function: type checkers take the first parameter of a function apart, and of nothing
    else."""

    @property
    def function(self) -> Callable[Concatenate[X_contra, P], T_co]:
        """The function under ``@workflow``."""
        ...

    def add_map(self, options: Mapping[str, Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Makes the map."""
        ...


class MapOfWorkflow:
    """A descriptor: only so the first parameter is a list, and the others stay as they are."""

    def __get__(
        self, workflow: Mapped[X, P, T], owner: object = None
    ) -> Callable[Concatenate[Sequence[X], P], list[T]]:
        def map_(*args: Any, **kwargs: Any) -> Any:
            return workflow.add_map({}, args, kwargs)

        return map_
