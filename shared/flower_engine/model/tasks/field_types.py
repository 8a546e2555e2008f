"""The fields of :class:`TaskSpec` as data, for whoever makes columns, schemas or checks of all of them."""

from types import NoneType, UnionType
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

import msgspec

from flower_engine.model.tasks.task_spec import TaskSpec


class SpecField(NamedTuple):
    """One field. ``type`` is the one behind ``Annotated`` and ``| None``; ``default`` is
    ``msgspec.NODEFAULT`` where the field must be given; ``bounds`` are those of JSON Schema."""

    name: str
    type: Any
    is_optional: bool
    default: Any
    description: str | None
    bounds: dict[str, Any]

    @property
    def is_duration(self) -> bool:
        """Milliseconds here; people write and read seconds."""
        return self.name.endswith("_ms")


def _field(info: msgspec.structs.FieldInfo) -> SpecField:
    kind, is_optional = info.type, False
    description: str | None = None
    bounds: dict[str, Any] = {}
    while (origin := get_origin(kind)) in (Annotated, Union, UnionType):
        first, *others = get_args(kind)
        if origin is not Annotated:
            is_optional = True
            (first,) = (one for one in (first, *others) if one is not NoneType)
            others = []
        for meta in others:
            description = description or meta.description
            bounds = {**(meta.extra_json_schema or {}), **bounds}
        kind = first
    default = info.default if info.default_factory is msgspec.NODEFAULT else info.default_factory()
    return SpecField(info.name, kind, is_optional, default, description, bounds)


SPEC_FIELDS = {info.name: _field(info) for info in msgspec.structs.fields(TaskSpec)}
"""By name, in their order."""
