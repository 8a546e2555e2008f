"""``@workflow``."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, Protocol, TypeVar, cast, overload

from flower_engine.authoring.workflow import Workflow
from flower_engine.errors import DefinitionError
from flower_engine.model.partitions.pins import Pin, problem_of_pin
from flower_engine.model.tasks.durations import Duration
from flower_engine.programs.call_site import call_site
from flower_engine.programs.task_options import Checks

P = ParamSpec("P")
R = TypeVar("R")


class Define(Protocol):
    """``@workflow(...)`` with a name or options."""

    def __call__(self, function: Callable[P, R], /) -> Workflow[P, R]: ...


@overload
def workflow(function: Callable[P, R], /) -> Workflow[P, R]: ...


@overload
def workflow(
    name: str | None = None,
    /,
    *,
    timeout: Duration | None = None,
    cleanup_timeout: Duration | None = None,
    pin: Pin | None = None,
    labels: Mapping[str, str] | None = None,
) -> Define: ...


def workflow(
    name: Any = None,
    /,
    *,
    timeout: Duration | None = None,
    cleanup_timeout: Duration | None = None,
    pin: Pin | None = None,
    labels: Mapping[str, str] | None = None,
) -> Any:
    """Makes a workflow of a function: ``@workflow("nightly", timeout="6h", labels={"team": "dwh"})``.

    The function's parameters are those of a flow; its body calls ``.step(...)`` of programs, and what it
    returns is the flow's result. The body runs once, when the definition is asked for, and never in a flow.
    Without a name it is the function's own. ``timeout`` is that of a whole flow; ``cleanup_timeout`` that of
    what cleans up (``having(finally_=True)``) once it is ending: an hour, unless it is said. ``pin``: flows
    lie in one partition ("workflow"), or those with the same value of ``limit_by`` do ("key").

    Raises:
        DefinitionError: an option does not fit, or the function is no plain ``def``.
    """
    if callable(name):
        return _made(cast("Callable[..., Any]", name), None, None, None, pin=None, labels=None)

    def define(function: Callable[..., Any]) -> Workflow[..., Any]:
        return _made(function, name, timeout, cleanup_timeout, pin=pin, labels=labels)

    return define


def _made(
    function: Callable[..., Any],
    name: str | None,
    timeout: Duration | None,
    cleanup_timeout: Duration | None,
    *,
    pin: str | None,
    labels: Mapping[str, str] | None,
) -> Workflow[..., Any]:
    checks = Checks("workflow")
    name = checks.name("name", getattr(function, "__name__", "") if name is None else name)
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(inspect.unwrap(function)):
        raise DefinitionError(
            name,
            [
                f"{call_site()}: its function is an async def or a generator; write a plain def, which"
                " awaits nothing"
            ],
        )
    if not inspect.isfunction(function):
        raise DefinitionError(
            name, [f"{call_site()}: {function!r} is no function; put @workflow above a def"]
        )
    for label, value in (labels or {}).items():
        if not isinstance(cast(Any, label), str) or not isinstance(cast(Any, value), str):
            checks.fail("labels", labels, "is no dict of texts")
    timeout_ms = None if timeout is None else checks.option_timeout(timeout)
    cleanup_ms = (
        None if cleanup_timeout is None else checks.duration("cleanup_timeout", cleanup_timeout, least=1)
    )
    if (problem := problem_of_pin(pin)) is not None:
        checks.fail("pin", pin, problem)
    return Workflow(
        function, name, timeout_ms=timeout_ms, cleanup_timeout_ms=cleanup_ms, pin=pin, labels=labels
    )
