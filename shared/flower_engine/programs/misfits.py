"""Why a version of a program does not take a task's parameters, and how two versions differ, in words.

Values are never said: what a parameter holds may be a secret.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from flower_engine.programs.signature import Signature


def misfits(signature: Signature, parameters: Mapping[str, Any]) -> Iterator[str]:
    """Why this version refuses the parameters, as far as what it publishes tells; nothing: it may take
    them."""
    given: set[str] = set()
    for name, value in parameters.items():
        own = signature.bound(name)
        if own is None:
            yield f"it has no parameter {name!r}"
        elif own in given:
            yield f"parameter {own!r} is given more than once"
        else:
            given.add(own)
            if not signature.takes(name, value):
                yield f"its parameter {name!r} takes {signature.words(name)}"
    for name in signature.required:
        if name not in given:
            yield f"it needs {name!r}"


def differences(one: Signature, other: Signature) -> Iterator[str]:
    """What ``other`` takes otherwise than ``one``."""
    for name in other.parameters:
        needed = " (required)" if name in other.required else ""
        if name not in one.parameters:
            yield f"takes {name!r} too{needed}"
        elif one.words(name) != other.words(name):
            yield f"takes {other.words(name)} as {name!r} instead of {one.words(name)}"
        elif None not in (schemas := (_schema(one, name), _schema(other, name))) and schemas[0] != schemas[1]:
            yield f"has another schema of {name!r}"
        elif (name in one.required) is not (name in other.required):
            yield f"{'needs' if name in other.required else 'does not need'} {name!r}"
    for name in one.parameters:
        if name not in other.parameters:
            yield f"has no {name!r}"
    if (one.extra is None) is not (other.extra is None):
        yield f"takes {'no ' if other.extra is None else ''}other names"


def _schema(signature: Signature, name: str) -> Any:
    """None where only the signature is known."""
    schema: Any = getattr(signature, "parameters_schema", None)
    return None if schema is None else schema.get("properties", {}).get(name)
