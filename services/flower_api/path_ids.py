"""The ids that paths of the API hold: workflows, flows, and names that people give for flows."""

from typing import Annotated

from fastapi import Path
from pydantic import StringConstraints
from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request

from flower_api.schemas import NAME_PATTERN
from flower_engine.model.tasks.task_spec import MAX_NAME_LENGTH


class _Rest(Convertor[str]):
    """The rest of a path, line ends included; Starlette's own ``path`` cuts the last one off."""

    regex = r"[\s\S]*"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("rest", _Rest())

TaskIdPath = Annotated[
    str,
    Path(
        alias="task_id",
        min_length=1,
        max_length=MAX_NAME_LENGTH,
        pattern=NAME_PATTERN,
        description="The workflow. It may hold slashes, but not end in one.",
    ),
]
FlowIdPath = Annotated[str, Path(alias="task_flow_id", description="The flow, as its registration named it.")]
FlowIdText = Annotated[str, StringConstraints(pattern="^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")]
FlowNamePath = Annotated[
    str, Path(alias="name", max_length=64, description="`last`, or how a flow's id begins.")
]


def workflow_of(task_id: str) -> str:
    """The workflow that a path names. One slash may follow it, which is no part of any name."""
    return task_id.removesuffix("/")


def belongs_to_name(request: Request, tail: int) -> bool:
    """Whether one of the last ``tail`` slashes of a path was sent as ``%2F``: then it is a part of a name."""
    path: bytes = request.scope["raw_path"].partition(b"?")[0]
    return any(b"%2f" in part for part in path.lower().split(b"/")[-tail:])
