"""Signatures of webhooks, as the Standard Webhooks convention has them: HMAC-SHA256 over id, time and body.

A secret that begins with ``whsec_`` is base64 behind that, any other is its own bytes. Where a secret
changes, give both, the new one first, with a blank between: the webhook then has a signature of each.
"""

import base64
import binascii
import hashlib
import hmac

from flower_engine.errors import SecretError

_PREFIX = "whsec_"


def headers_of(number: str, seconds: int, body: bytes, secret: str | None, name: str = "") -> dict[str, str]:
    """The headers that name and sign a webhook that is sent at this time (Unix seconds). Without a secret it
    is not signed.

    Raises:
        SecretError: the secret of this name is none; never shows it.
    """
    headers = {"webhook-id": number, "webhook-timestamp": str(seconds)}
    if secret is not None:
        signed = b".".join([number.encode(), str(seconds).encode(), body])
        keys = [_key(one, name) for one in secret.split()]
        if not keys:
            raise SecretError(f"secret {name} is empty")
        headers["webhook-signature"] = " ".join(f"v1,{_sign(key, signed)}" for key in keys)
    return headers


def _sign(key: bytes, signed: bytes) -> str:
    return base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def _key(secret: str, name: str) -> bytes:
    if not secret.startswith(_PREFIX):
        return secret.encode("utf-8", "surrogateescape")
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:  # anybody could sign with an empty one
        raise SecretError(f"secret {name} begins with {_PREFIX}, but has no base64 behind it")
    return key
