"""Sub-flows: tasks whose program is ``@flow`` are done by a flow of their own, their *child*.

Which flow that is follows from the task's attempt alone (``lua/lib/tree_notes.lua`` has the same), so nobody
keeps a link, and a child that is begun twice is begun once. It lives in its parent's partition. What a child
returns is what its last task comes to, which only children have (program ``@returns``); like a decision, it
is evaluated by whoever comes first.
"""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, cast

import msgspec

from flower_engine.model.parameters.references import holds_references, scan
from flower_engine.model.tasks.task_spec import MAX_NAME_LENGTH, TaskSpec
from flower_engine.model.values.quoting import short
from flower_engine.model.waits.wait_parameters import MAP, SUBFLOW

WORKFLOW, GIVEN, VERSION, VERSIONS = "workflow", "parameters", "version", "versions"
"""Parameters of a task of program ``@flow``: what people write are the name of the workflow and what its
flows are given; when a flow begins, the version that its child is of, and those of the whole tree below it,
are added (hashes by the names of workflows)."""

ELEMENT_AS, ELEMENT = "as", "element"
"""Further parameters of an item of a map that a child does: which parameter of the child is its element, and
that itself."""

VALUE = "value"
"""The parameter of ``@returns``."""

MAX_DEPTH = 20
"""Flows above each other, the trunk of the tree among them."""

CHILD_SUSPENDED = "ChildSuspended"
CHILD_CANCELLED = "ChildCancelled"
CHILD_ERRORS = (CHILD_SUSPENDED, CHILD_CANCELLED, "ChildFailed", "ChildReturnedNothing")
"""Types of errors with which a task is held because of its child: that may be operated on, and go on."""

_VARIANTS = "89ab"


def child_flow_id(flow: str, task: int, attempt: int) -> str:
    """The id of the flow that does a task in this attempt."""
    found = hashlib.sha1(f"{flow}:{task}:{attempt}".encode(), usedforsecurity=False).hexdigest()
    variant = _VARIANTS[int(found[0], 16) % 4]
    return f"{flow[:19]}{variant}{found[1:4]}-{found[4:16]}"


def workflow_of(task: TaskSpec) -> str:
    """The workflow of a task's child, or of those of a map's items; "": it has none."""
    name = task.parameters.get(WORKFLOW) if task.program in (SUBFLOW, MAP) else None
    return name if isinstance(name, str) else ""


def problems_of_subflow(task: TaskSpec) -> Iterator[str]:
    """What is wrong with such a task of a definition, each a sentence that follows the name of its row. (That
    the workflow exists, and that none comes to itself, is asked where others are known.)"""
    parameters = task.parameters
    name = parameters.get(WORKFLOW)
    if WORKFLOW not in parameters:
        yield f"({SUBFLOW}) needs the parameter {WORKFLOW!r}: the name of the workflow that does it"
    elif not isinstance(name, str) or not name or len(name) > MAX_NAME_LENGTH:
        yield (
            f"({SUBFLOW}): its {WORKFLOW!r} is {short(repr(name))}; it is the name of a workflow, as text:"
            " which one does the task is fixed"
        )
    given: Any = parameters.get(GIVEN, {})
    if not isinstance(given, dict) or is_reference(cast("dict[str, Any]", given)):
        yield f"({SUBFLOW}): its {GIVEN!r} is {short(repr(cast(Any, given)))}; it is an object, by name"
    elif holds_references(given) and scan(given).secrets:
        yield f"({SUBFLOW}) gives a secret to its child: let the workflow of that name the secret"
    for other in parameters:
        if other in (VERSION, VERSIONS):
            yield f"({SUBFLOW}) says its {other!r}: the versions of a tree are fixed when a flow begins"
        elif other not in (WORKFLOW, GIVEN):
            yield f"({SUBFLOW}) has no parameter {short(other)!r}; it takes {WORKFLOW}, {GIVEN}"


def is_reference(value: Mapping[str, Any]) -> bool:
    """Whether the whole object is one reference."""
    return any(name.startswith("$") for name in value)


class ParentTask(msgspec.Struct, frozen=True):
    """The task that awaits a child, in one of its attempts; ``trunk``: the flow at the top of their tree;
    ``window``: that of a map in which the child needs a place (``Window.text``; "": it needs none)."""

    flow: str
    task: int
    attempt: int
    trunk: str
    window: str = ""

    @property
    def text(self) -> str:
        """As the hash of the child has it (field ``P``)."""
        return f"{self.flow} {self.task} {self.attempt} {self.trunk} {self.window}".rstrip()
