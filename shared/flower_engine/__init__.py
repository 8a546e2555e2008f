"""Flower: a workflow engine for people who write Python. These are the names that people import.

What a workflow is written with is imported when it is first asked for: workers start without.
"""

from typing import TYPE_CHECKING, Any

from flower_engine.blobs.blob import Blob
from flower_engine.errors import DefinitionError, FlowerError, ParameterError, ProgramError
from flower_engine.programs.context import CONTEXT, Context, Progress, context
from flower_engine.programs.outcomes import Again, Fatal, Retry
from flower_engine.programs.program_types import Program
from flower_engine.programs.registry import program

if TYPE_CHECKING:
    from flower_engine.authoring.blocks import otherwise, when
    from flower_engine.authoring.condition import either, is_in, is_none, not_, some
    from flower_engine.authoring.lists_together import flat, zipped
    from flower_engine.authoring.map_outcomes import outcomes
    from flower_engine.authoring.ref import Ref
    from flower_engine.authoring.schemas import Secret
    from flower_engine.authoring.slot import slot
    from flower_engine.authoring.text import secret, text
    from flower_engine.authoring.wait_tasks import Approved, answered_by, approval, event, sleep
    from flower_engine.authoring.workflow import Prepared, Workflow
    from flower_engine.authoring.workflow_decorator import workflow
    from flower_engine.hooks.python_hooks import hook
    from flower_engine.programs.item_outcomes import Outcome
    from flower_engine.programs.task_options import RetryPolicy, at_least, hold

__all__ = [
    "CONTEXT",
    "Again",
    "Approved",
    "Blob",
    "Context",
    "DefinitionError",
    "Fatal",
    "FlowerError",
    "Outcome",
    "ParameterError",
    "Prepared",
    "Program",
    "ProgramError",
    "Progress",
    "Ref",
    "Retry",
    "RetryPolicy",
    "Secret",
    "Workflow",
    "answered_by",
    "approval",
    "at_least",
    "context",
    "either",
    "event",
    "flat",
    "hold",
    "hook",
    "is_in",
    "is_none",
    "not_",
    "otherwise",
    "outcomes",
    "program",
    "secret",
    "sleep",
    "slot",
    "some",
    "text",
    "when",
    "workflow",
    "zipped",
]

_LATE = {
    "Approved": "flower_engine.authoring.wait_tasks",
    "Outcome": "flower_engine.programs.item_outcomes",
    "Prepared": "flower_engine.authoring.workflow",
    "Ref": "flower_engine.authoring.ref",
    "RetryPolicy": "flower_engine.programs.task_options",
    "Secret": "flower_engine.authoring.schemas",
    "Workflow": "flower_engine.authoring.workflow",
    "answered_by": "flower_engine.authoring.wait_tasks",
    "approval": "flower_engine.authoring.wait_tasks",
    "at_least": "flower_engine.programs.task_options",
    "either": "flower_engine.authoring.condition",
    "event": "flower_engine.authoring.wait_tasks",
    "flat": "flower_engine.authoring.lists_together",
    "hold": "flower_engine.programs.task_options",
    "hook": "flower_engine.hooks.python_hooks",
    "is_in": "flower_engine.authoring.condition",
    "is_none": "flower_engine.authoring.condition",
    "not_": "flower_engine.authoring.condition",
    "otherwise": "flower_engine.authoring.blocks",
    "outcomes": "flower_engine.authoring.map_outcomes",
    "secret": "flower_engine.authoring.text",
    "sleep": "flower_engine.authoring.wait_tasks",
    "slot": "flower_engine.authoring.slot",
    "some": "flower_engine.authoring.condition",
    "text": "flower_engine.authoring.text",
    "when": "flower_engine.authoring.blocks",
    "workflow": "flower_engine.authoring.workflow_decorator",
    "zipped": "flower_engine.authoring.lists_together",
}
"""Where those stand that are imported when they are first asked for."""

for _public in (Again, Blob, Context, Fatal, FlowerError, ParameterError, ProgramError, Progress, Retry):
    _public.__module__ = __name__  # as people import it, so that tracebacks and error types say that name
program.__module__ = __name__
del _public


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 # as everything here that is not always needed

    found = globals()[name] = getattr(import_module(_LATE[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
