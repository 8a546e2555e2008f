"""Tests of workflows: the real engine, and time that is skipped instead of waited for. See docs/testing.md.

The plug-in of pytest (``pytest_flower``) imports nothing of this until a test asks for its fixture.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flower_engine.testing.element_answers import by_element
    from flower_engine.testing.faults import FlowerTestError, StubError, StuckError
    from flower_engine.testing.flower_test import FlowerTest
    from flower_engine.testing.recorded_errors import recorded_error
    from flower_engine.testing.run import Run
    from flower_engine.testing.run_tasks import RunTask
    from flower_engine.testing.stubs import Stub, hangs
    from flower_engine.testing.written_lines import RunLine

__all__ = [
    "FlowerTest",
    "FlowerTestError",
    "Run",
    "RunLine",
    "RunTask",
    "Stub",
    "StubError",
    "StuckError",
    "by_element",
    "hangs",
    "recorded_error",
]

_LATE = {
    "FlowerTest": "flower_test",
    "FlowerTestError": "faults",
    "Run": "run",
    "RunLine": "written_lines",
    "RunTask": "run_tasks",
    "Stub": "stubs",
    "StubError": "faults",
    "StuckError": "faults",
    "by_element": "element_answers",
    "hangs": "stubs",
    "recorded_error": "recorded_errors",
}
"""Where those stand that are imported when they are first asked for."""


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 # what a session without such tests does without

    found = globals()[name] = getattr(import_module(f"{__name__}.{_LATE[name]}"), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
