"""JSON in which a float stays a float, whoever keeps it.

Encoders write floats from 1e16 on with an exponent alone (``1e16``). Postgres' jsonb keeps numbers as
decimals and gives that back as ``10000000000000000``, which every reader takes for a whole number.
"""

import re
from decimal import Decimal

_EXPONENT = re.compile(rb"\de\+?\d")
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?e\+?\d+', re.DOTALL)


def spelled_out(encoded: bytes) -> bytes:
    """The same JSON with such floats as digits and a fraction: ``10000000000000000.0``."""
    if _EXPONENT.search(encoded) is None:
        return encoded
    return _TOKEN.sub(_spelled_out, encoded)


def _spelled_out(token: re.Match[bytes]) -> bytes:
    text = token[0]
    if text.startswith(b'"'):
        return text
    digits = format(Decimal(text.decode()), "f")
    return (digits if "." in digits else digits + ".0").encode()
