"""JSON Schemas (2020-12) of single values: the payload of a signal, the form of an approval."""

from collections.abc import Iterator, Mapping
from typing import Any, cast

import msgspec

from flower_engine.model.parameters.parameters_schema import MAX_SCHEMA_BYTES, make_validator
from flower_engine.model.parameters.schema_walk import SchemaError, check_size
from flower_engine.model.values.json_pointer import pointer_to
from flower_engine.model.values.quoting import short

_MOST_FAULTS = 100


def problems_of_value_schema(schema: Any) -> list[str]:
    """What is wrong with a schema; each begins with a place in it (JSON Pointer)."""
    if not isinstance(schema, dict):
        return ["it is no JSON object"]
    known = cast("dict[str, Any]", schema)
    if len(msgspec.json.encode(known)) > MAX_SCHEMA_BYTES:
        return [f"it is longer than {MAX_SCHEMA_BYTES} bytes"]
    try:
        check_size(known)
        make_validator(known)
    except SchemaError as error:
        return [str(error)]
    except ValueError as error:
        place = pointer_to(*getattr(error, "instance_path", ()))
        return [f"{place}: {short(str(getattr(error, 'message', error)))}"]
    return []


def faults_of_value(schema: Mapping[str, Any], value: Any) -> Iterator[tuple[str, str]]:
    """What is wrong with a value: the place in it (JSON Pointer), and a sentence."""
    try:
        for told, error in enumerate(make_validator(schema).iter_errors(value)):
            if told == _MOST_FAULTS:
                return
            yield pointer_to(*error.instance_path), short(error.message)
    except ValueError as error:  # deeper than the validator goes
        yield "", f"it cannot be checked: {short(str(error))}"
