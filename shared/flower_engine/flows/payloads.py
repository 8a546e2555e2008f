"""Values that somebody sends into a flow: payloads of signals, answers to approvals."""

from typing import Any

import msgspec

from flower_engine.errors import ParameterFault, ParametersError, PayloadTooLargeError
from flower_engine.model.values.floats import spelled_out
from flower_engine.model.values.result_json import MAX_INTEGER_BITS
from flower_engine.model.values.storable import unstorable_in
from flower_engine.model.waits.wait_parameters import MAX_PAYLOAD_BYTES


def encoded_payload(value: Any, at: str) -> bytes:
    """Its JSON; ``at`` leads to it in the request (JSON Pointer).

    Raises:
        PayloadTooLargeError: it is larger than 64 KiB.
        ParametersError: it holds what JSON or Postgres cannot keep.
    """
    encoded = spelled_out(msgspec.json.encode(value))
    if len(encoded) > MAX_PAYLOAD_BYTES:
        raise PayloadTooLargeError(
            f"it is {len(encoded):,} bytes of JSON; a signal or an answer has at most {MAX_PAYLOAD_BYTES:,}."
            " Keep what is larger elsewhere, and send where it lies"
        )
    fault = unstorable_in(value, MAX_INTEGER_BITS)
    if fault is not None:
        detail = f"it {fault.what}{fault.place}; give {fault.instead}"
        raise ParametersError([ParameterFault(detail=detail, pointer=at + fault.pointer)])
    return encoded
