"""What can be asked of the API about workflows, each as a call without I/O (see ``api_calls.py``)."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from flower_engine.client.api_calls import Patience, Request, Steps, decoded, sent
from flower_engine.client.api_location import path_part
from flower_engine.client.flow_values import Deployed, WorkflowEntry
from flower_engine.client.wanted_flows import encoded
from flower_engine.errors import UnknownWorkflowError

Document = Mapping[str, Any]
"""A workflow's definition as the API has it: ``{"taskId": ..., "tasks": [...]}``."""


class _Page(msgspec.Struct):
    workflows: list[WorkflowEntry]
    next: str | None = None


def get(name: str, patience: Patience) -> Steps[dict[str, Any]]:
    """The definition.

    Raises:
        UnknownWorkflowError: there is none; the message may name the nearest.
    """
    return decoded((yield from sent(Request("GET", _path(name)), patience)), dict[str, Any])


def put(document: Document, patience: Patience) -> Steps[list[str]]:
    """Defines the workflow, or replaces it as a whole; returns what the API warns of.

    Raises:
        DefinitionError: it cannot be run as defined; names every problem.
    """
    request = Request("PUT", _path(str(document["taskId"])), body=encoded(document))
    return decoded((yield from sent(request, patience)), dict[str, Any]).get("warnings", [])


def deploy(source: str, documents: Sequence[Document], patience: Patience, **more: Any) -> Steps[Deployed]:
    """Brings many definitions into use, all or none; sent again it changes nothing more.

    Raises:
        DefinitionError: one cannot be run as defined; names every problem of all.
        RefusedError: a workflow stands otherwise than ``expected`` says.
    """
    body = {"source": source, "workflows": documents, **more}
    given = {name: value for name, value in body.items() if value is not None}
    return decoded((yield from sent(Request("POST", "/deploy", body=encoded(given)), patience)), Deployed)


def delete(name: str, patience: Patience) -> Steps[bool]:
    """Deletes the definition, not its flows; False if there was none (any more)."""
    try:
        yield from sent(Request("DELETE", _path(name)), patience)
    except UnknownWorkflowError:
        return False
    return True


def page(cursor: str | None, patience: Patience) -> Steps[tuple[list[WorkflowEntry], str | None]]:
    """A page of workflows by name, and the cursor of the next."""
    found = decoded((yield from sent(Request("GET", "/workflows", {"cursor": cursor}), patience)), _Page)
    return found.workflows, found.next


def _path(name: str) -> str:
    return f"/workflows/{path_part(name)}"
