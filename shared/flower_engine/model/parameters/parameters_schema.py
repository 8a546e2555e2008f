"""The JSON Schema (2020-12) of a workflow's parameters: what is wrong with it, and values checked by it."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import msgspec

from flower_engine.errors import ParameterFault
from flower_engine.model.parameters.reference_forms import is_secret_name
from flower_engine.model.parameters.schema_walk import SchemaError, check_size, parts_of
from flower_engine.model.values.json_pointer import pointer_to
from flower_engine.model.values.near_names import nearest_in_words
from flower_engine.model.values.quoting import short

if TYPE_CHECKING:
    from jsonschema_rs import ValidationError, Validator

SECRET = "x-flower-secret"
MAX_SCHEMA_BYTES = 256 * 1024
_MOST_FAULTS = 100


class ParametersSchema:
    """What flows of a workflow take. Parameters with ``x-flower-secret`` take the NAME of a secret."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        """``schema`` is one in which :func:`problems_of_schema` finds nothing."""
        self._schema = schema
        self.properties: dict[str, Any] = dict(schema.get("properties") or {})
        objects: dict[str, dict[str, Any]] = {
            name: one for name, one in self.properties.items() if isinstance(one, dict)
        }
        self.secrets = frozenset(name for name, one in objects.items() if one.get(SECRET) is True)
        self.defaults: dict[str, Any] = {
            name: one["default"] for name, one in objects.items() if "default" in one
        }

    @cached_property
    def _validator(self) -> "Validator":
        return make_validator(self._schema)

    def checked(self, given: Mapping[str, Any], at: str) -> tuple[dict[str, Any], list[ParameterFault]]:
        """The parameters with defaults filled in, and all that is wrong with them; ``at`` is the JSON Pointer
        that leads to them."""
        values = {**self.defaults, **given}
        return values, [parameter_fault(at, place, detail) for place, detail in self.faults_of(values)]

    def faults_of(self, values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """What is wrong with values, defaults filled in: the place in them, and a sentence."""
        told = 0
        try:
            for error in self._validator.iter_errors(values):
                for fault in _told(error, self.properties):
                    yield fault
                    told += 1
                    if told == _MOST_FAULTS:
                        return
        except ValueError as error:  # deeper than the validator goes
            yield "", f"they cannot be checked: {short(str(error))}"
            return
        for name in sorted(self.secrets & values.keys()):
            value = values[name]
            if value is not None and not (isinstance(value, str) and is_secret_name(value)):
                yield (
                    pointer_to(name),
                    "this is not the name of a secret; the secret itself stays with the workers",
                )


def parameter_fault(at: str, place: str, detail: str) -> ParameterFault:
    """What is wrong at a place in the parameters, to which ``at`` leads; the sentence begins with it."""
    return ParameterFault(f"{named(place)}{detail}", at + place)


def named(place: str) -> str:
    """The beginning of a sentence about a place in the parameters (JSON Pointer): its name."""
    return f"'{place[1:].replace('~1', '/').replace('~0', '~')}': " if place else ""


def problems_of_schema(schema: Any) -> list[str]:
    """What is wrong with a schema of parameters; each begins with a place in it (JSON Pointer)."""
    try:
        return list(_problems_of(schema))
    except SchemaError as error:
        return [str(error)]


def _problems_of(schema: Any) -> Iterator[str]:
    if not isinstance(schema, dict):
        yield ": it is no JSON object"
        return
    known = cast("dict[str, Any]", schema)
    if known.get("type", "object") != "object":
        yield '/type: a flow\'s parameters are an object: "type" must be "object", or absent'
        return
    check_size(known)
    if len(msgspec.json.encode(known)) > MAX_SCHEMA_BYTES:
        yield f": it is longer than {MAX_SCHEMA_BYTES} bytes"
        return
    try:
        make_validator(known)
    except ValueError as error:
        place = pointer_to(*getattr(error, "instance_path", ()))
        yield f"{place}: {short(str(getattr(error, 'message', error)))}"
        return
    yield from _problems_of_secrets(known)
    found = ParametersSchema(known)
    for place, detail in found.faults_of(found.defaults):
        name = place.split("/")[1] if place else ""
        if any(pointer_to(one) == f"/{name}" for one in found.defaults):
            yield f"/properties/{name}/default: {detail}"


def _problems_of_secrets(schema: Mapping[str, Any]) -> Iterator[str]:
    """A secret is a parameter of its own: a name inside of one would pass for data."""
    left = list(parts_of(schema))
    while left:
        at, part = left.pop()
        left.extend(parts_of(part, at))
        if SECRET in part:
            if not isinstance(part[SECRET], bool):
                yield f"{at}/{SECRET}: it is neither true nor false"
            elif not (at.startswith("/properties/") and at.count("/") == 2):
                yield f"{at}/{SECRET}: only a parameter as a whole is a secret, as in /properties/NAME"


def make_validator(schema: Mapping[str, Any]) -> "Validator":
    """What checks values by the schema. Its patterns are matched in linear time, and nothing is fetched.

    Raises:
        ValueError: it is no JSON Schema.
    """
    import jsonschema_rs  # noqa: PLC0415 # slow to import; only workflows with a schema pay for it

    return jsonschema_rs.Draft202012Validator(
        dict(schema),
        validate_formats=True,
        pattern_options=jsonschema_rs.RegexOptions(),
        retriever=_fetched,
    )


def _fetched(uri: str) -> Any:
    raise ValueError(f"nothing is fetched: {uri}")


def _told(error: "ValidationError", properties: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What a validator finds: the place, and a sentence."""
    place = pointer_to(*error.instance_path)
    kind = error.kind
    if kind.name == "required":
        yield place + pointer_to(str(getattr(kind, "property", ""))), "it is missing"
    elif kind.name in ("additionalProperties", "unevaluatedProperties"):
        for name in getattr(kind, "unexpected", ()):
            near = "" if place else nearest_in_words(str(name), properties)
            yield place + pointer_to(str(name)), f"there is no such parameter{near}"
    else:
        yield place, short(error.message)
