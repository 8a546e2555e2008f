"""Makes what a program says of itself, of its function's annotations and docstring."""

import inspect
from functools import partial
from typing import Any

import msgspec

from flower_engine.programs.json_schemas import schemas_of
from flower_engine.programs.parameter_binding import is_context, read_signature
from flower_engine.programs.published_program import PublishedProgram
from flower_engine.programs.registry import RegisteredProgram

MAX_DESCRIPTION = 1_000  # characters
MAX_SCHEMA_BYTES = 16_384
_ANYTHING: dict[str, Any] = {}


def published(program: RegisteredProgram) -> PublishedProgram:
    """All of it. It runs code of the program's types (models make their own schemas), and whatever that
    raises leaves out the schema alone."""
    signature = program.binder.signature
    read = read_signature(program.name, program.function)
    parameters = [
        one
        for one in read.parameters.values()
        if one.name in signature.parameters and not is_context(one.annotation)
    ]
    extra = next((one for one in read.parameters.values() if one.kind is one.VAR_KEYWORD), None)
    return PublishedProgram(
        **msgspec.structs.asdict(signature),
        kind=program.kind.value,
        description=_description(program.function),
        parameters_schema=_bounded(_takes(parameters, extra)),
        result_schema=_bounded(_gives(read.return_annotation)),
    )


def _takes(parameters: list[inspect.Parameter], extra: inspect.Parameter | None) -> dict[str, Any]:
    others = [] if extra is None else [extra]
    schemas, definitions = _schemas([one.annotation for one in [*parameters, *others]])
    properties: dict[str, Any] = {}
    for parameter, schema in zip(parameters, schemas, strict=False):
        default = parameter.default
        # Texts are left out: a default may have come from the environment, and be secret.
        has_default = default is None or isinstance(default, bool | int | float)
        properties[parameter.name] = {**schema, "default": default} if has_default else schema
    made: dict[str, Any] = {"type": "object", "properties": properties}
    required = [one.name for one in parameters if one.default is one.empty]
    if required:
        made["required"] = required
    made["additionalProperties"] = schemas[-1] if others else False
    return {**made, "$defs": definitions} if definitions else made


def _gives(annotation: Any) -> dict[str, Any]:
    (made,), definitions = _schemas([annotation], of_results=True)
    return {**made, "$defs": definitions} if definitions else made


def _schemas(
    annotations: list[Any], *, of_results: bool = False
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Where one type has no schema, it may be anything; the others keep theirs."""
    try:
        return schemas_of(annotations, of_results=of_results)
    except Exception:  # noqa: BLE001 # whatever code of types raises
        known = [one if _has_schema(one, of_results=of_results) else Any for one in annotations]
    try:
        return schemas_of(known, of_results=of_results)
    except Exception:  # noqa: BLE001 # two types of one name
        return [_ANYTHING for _ in annotations], {}


def _has_schema(annotation: Any, *, of_results: bool) -> bool:
    try:
        schemas_of([annotation], of_results=of_results)
    except Exception:  # noqa: BLE001 # as above
        return False
    return True


def _bounded(schema: dict[str, Any]) -> dict[str, Any] | None:
    try:
        encoded = msgspec.json.encode(schema)
    except Exception:  # noqa: BLE001 # somebody's schema holds what is no JSON
        return None
    # Read again it is plain JSON, as others see it.
    return msgspec.json.decode(encoded) if len(encoded) <= MAX_SCHEMA_BYTES else None


def _description(function: Any) -> str:
    while isinstance(function, partial):
        function = function.func
    text = inspect.getdoc(function)
    if not isinstance(text, str):
        return ""
    paragraph = " ".join(text.strip().partition("\n\n")[0].split())
    return paragraph if len(paragraph) <= MAX_DESCRIPTION else paragraph[: MAX_DESCRIPTION - 3] + "..."
