"""The result that an operator gives for a task that is passed over."""

from typing import Any

import msgspec

from flower_engine.errors import ParameterFault, ParametersError, ProgramError
from flower_engine.model.result_json import encode_result

MOST_BYTES = 64 * 1024


def stand_in(value: Any) -> bytes:
    """Its JSON.

    Raises:
        ParametersError: it is larger than ``MOST_BYTES``, or holds what Postgres cannot keep.
    """
    encoded = msgspec.json.encode(value)
    if len(encoded) > MOST_BYTES:
        raise _fault(
            f"it is {len(encoded):,} bytes; a result that stands in for another has at most {MOST_BYTES:,}"
        )
    try:
        is_kept = encode_result(value) == encoded
    except ProgramError:
        is_kept = False
    if not is_kept:
        raise _fault("it holds a NUL, a lone surrogate, or is nested too deep: Postgres cannot keep that")
    return encoded


def _fault(detail: str) -> ParametersError:
    return ParametersError([ParameterFault(detail=detail, pointer="#/result")])
