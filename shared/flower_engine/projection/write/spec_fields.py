"""The fields of a task's specification that ``kr_task_stat`` has under their own name, packed for COPY."""

from collections.abc import Callable, Iterator
from operator import attrgetter, call
from typing import Any, LiteralString, cast

from flower_engine.model.field_types import SPEC_FIELDS
from flower_engine.model.task_spec import TaskSpec
from flower_engine.projection import binary_fields
from flower_engine.projection.binary_fields import NULL
from flower_engine.projection.task_columns import FLOW_COLUMNS_OF, PLAIN

_ENCODERS: dict[Any, Callable[[Any], bytes]] = {
    str: binary_fields.short_text,
    int: binary_fields.integer,
}

SAME = cast("tuple[LiteralString, ...]", tuple(name for name in PLAIN if name in FLOW_COLUMNS_OF))


def _encoder(name: str) -> Callable[[Any], bytes]:
    field = SPEC_FIELDS[name]
    encode = _ENCODERS[field.type]
    if not field.is_optional:
        return encode
    return lambda value: NULL if value is None else encode(value)


_values = attrgetter(*SAME)
_encoders = tuple(map(_encoder, SAME))
_encoded = cast("Callable[[Callable[[Any], bytes], Any], bytes]", call)


def packed(task: TaskSpec) -> Iterator[bytes]:
    """The values of ``SAME``."""
    return map(_encoded, _encoders, _values(task))
