"""What a program says of itself to those who cannot import it: beside its signature JSON Schemas of what it
takes and gives, its description and its kind. It is made in ``self_description.py``."""

from typing import Any

import msgspec

from flower_engine.programs.signature import Signature


class PublishedProgram(Signature, frozen=True, omit_defaults=True):
    """``kind``: where it runs; "" where its worker has not said more than the signature (yet).
    ``parameters_schema`` is of the object of its parameters, ``result_schema`` of its result; None where none
    could be made, or it is larger than 16 KiB. ``description``: the first paragraph of its docstring."""

    kind: str = ""
    description: str = ""
    parameters_schema: dict[str, Any] | None = None
    result_schema: dict[str, Any] | None = None


class SeenProgram(msgspec.Struct, frozen=True):
    """A version of a program, and when a live worker had it last (ms, engine time)."""

    program: str
    hash: str
    published: PublishedProgram
    seen_ms: int
