"""Versions of a workflow: the canonical JSON of its definition, and the hash that names it.

Canonical is the document without what has its default anyway, tasks by taskSeq and keys in order, so that the
same definition has the same bytes wherever it comes from: the API, files, rows written with SQL, Python.
"""

import hashlib
import re
from functools import cache
from typing import Any, cast

import msgspec

from flower_engine.errors import DefinitionError
from flower_engine.model.definitions.definition import WorkflowDefinition
from flower_engine.model.definitions.workflow_document import (
    Document,
    RetryDocument,
    TaskDocument,
    WorkflowDocument,
    ms_of_seconds,
)
from flower_engine.model.tasks.task_spec import longest_delay
from flower_engine.model.values.floats import spelled_out

NEWEST = "newest"
SHORTEST_PREFIX = 8
"""Of a hash; fewer digits are a number."""

_NUMBER = re.compile(r"[1-9][0-9]{0,6}", re.ASCII)
_PREFIX = re.compile(r"[0-9a-f]{8,64}", re.ASCII)
_encode = msgspec.json.Encoder(order="sorted").encode
_decode = msgspec.json.Decoder(WorkflowDocument).decode


class Version(msgspec.Struct, frozen=True):
    """A definition's canonical JSON, and the SHA-256 of that in hexadecimal."""

    hash: str
    canonical: str


def version_of(definition: WorkflowDefinition) -> Version:
    """The version that this definition is."""
    canonical = spelled_out(_encode(plain_document(definition)))
    return Version(hashlib.sha256(canonical).hexdigest(), canonical.decode())


def definition_of(workflow: str, canonical: str | bytes) -> WorkflowDefinition:
    """The definition that a version's canonical JSON holds.

    Raises:
        DefinitionError: a newer Flower wrote it, with what this one does not know.
    """
    try:
        return _decode(canonical).to_model()
    except msgspec.ValidationError as error:
        raise DefinitionError(
            workflow, [f"the kept version cannot be read by this Flower: {error}"]
        ) from None


def number_or_prefix(which: str) -> int | str | None:
    """What people say for a version: its number, or how its hash begins; None: it is neither."""
    if _NUMBER.fullmatch(which):
        return int(which)
    return which if _PREFIX.fullmatch(which) else None


def plain_document(definition: WorkflowDefinition) -> dict[str, Any]:
    """The document as plain JSON, without what has its default anyway; tasks by taskSeq."""
    tasks = tuple(sorted(definition.tasks, key=lambda task: task.task_seq))
    said = _said(WorkflowDocument.of(msgspec.structs.replace(definition, tasks=tasks)))
    # jsonb has no negative zero, and nobody means one.
    return cast(dict[str, Any], _without_negative_zeros(said)) if b"-0.0" in _encode(said) else said


@cache
def _fields_of(kind: type[Document]) -> list[tuple[str, str, Any]]:
    """Name, name in JSON and default of each field."""
    return [
        (
            field.name,
            field.encode_name,
            field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory(),
        )
        for field in msgspec.structs.fields(kind)
    ]


def _said(document: Document) -> dict[str, Any]:
    """The fields that are not their defaults, by their names in JSON."""
    found: dict[str, Any] = {}
    for name, name_in_json, default in _fields_of(type(document)):
        value = getattr(document, name)
        if value is not None and value != default and not _follows(document, name):
            is_data = name == "stand_in"
            found[name_in_json] = value if is_data else _plain(value, is_sorted=name == "depends_on")
    return found


def _follows(document: Document, name: str) -> bool:
    """Whether a field says what would be so without it."""
    if name != "max_delay_seconds" or not isinstance(document, RetryDocument):
        return False
    longest = longest_delay(ms_of_seconds(document.delay_seconds))
    return document.max_delay_seconds is not None and ms_of_seconds(document.max_delay_seconds) == longest


def _plain(value: Any, *, is_sorted: bool = False) -> Any:
    if isinstance(value, Document):
        return _said(value)
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, list):
        items = cast(list[Any], value)
        if is_sorted:
            return sorted(items)
        return [_said(item) if isinstance(item, TaskDocument) else item for item in items]
    return value


def _without_negative_zeros(value: Any) -> Any:
    if isinstance(value, float):
        return value or 0.0
    if isinstance(value, dict):
        items = cast(dict[str, Any], value)
        return {key: _without_negative_zeros(item) for key, item in items.items()}
    if isinstance(value, list):
        return [_without_negative_zeros(item) for item in cast(list[Any], value)]
    return value
