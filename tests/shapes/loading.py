"""Turns a DAG file of this folder into a workflow definition."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from flower_engine.model.definitions.definition import TaskDefinition, WorkflowDefinition

SHAPES = ("montage-58", "montage-310")
_FOLDER = Path(__file__).parent


class Node(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A task of a real run: what it waited for and how long it ran."""

    seq: int
    step: str
    runtime_ms: int
    after: tuple[int, ...]


class _Shape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    tasks: tuple[Node, ...]


def _nothing(_: Node) -> dict[str, Any]:
    return {}


def load_shape(
    name: str, *, program: str = "Noop", parameters: Callable[[Node], dict[str, Any]] = _nothing
) -> WorkflowDefinition:
    """The workflow of ``<name>.json``, where every task runs ``program`` with its ``parameters``."""
    shape = msgspec.json.decode((_FOLDER / f"{name}.json").read_bytes(), type=_Shape)
    return WorkflowDefinition(
        name=shape.name,
        tasks=tuple(
            TaskDefinition(
                task_seq=node.seq, program=program, depends_on=node.after, parameters=parameters(node)
            )
            for node in shape.tasks
        ),
    )
