"""The result that an operator gives for a task that is passed over."""

from typing import Any

import msgspec

from flower_engine.errors import ParameterFault, ParametersError
from flower_engine.model.values.result_json import MAX_INTEGER_BITS
from flower_engine.model.values.storable import unstorable_in

MOST_BYTES = 64 * 1024


def stand_in(value: Any) -> bytes:
    """Its JSON.

    Raises:
        ParametersError: it is larger than ``MOST_BYTES``, or holds what JSON or Postgres cannot keep.
    """
    encoded = msgspec.json.encode(value)
    if len(encoded) > MOST_BYTES:
        raise _fault(
            f"it is {len(encoded):,} bytes; a result that stands in for another has at most {MOST_BYTES:,}"
        )
    fault = unstorable_in(value, MAX_INTEGER_BITS)
    if fault is not None:
        raise _fault(f"it {fault.what}{fault.place}; give {fault.instead}", fault.pointer)
    return encoded


def _fault(detail: str, pointer: str = "") -> ParametersError:
    return ParametersError([ParameterFault(detail=detail, pointer=f"#/result{pointer}")])
