"""How ``httpx`` talks to the API, for both kinds of sessions, and for the command."""

import ipaddress
from typing import Any

import httpx

from flower_engine.client.api_calls import Request
from flower_engine.errors import SettingsError
from flower_engine.secrets import hide_secrets, learn_address, learn_secrets

CONNECT_SECONDS = 5.0
TIMEOUT = httpx.Timeout(60.0, connect=CONNECT_SECONDS)
MOST_WAITING = 100  # calls of a session that the API answers only when a flow moves; others go by meanwhile
_JSON = {"Content-Type": "application/json"}


def session_settings(
    url: str, token: str | None, client: str, timeout: httpx.Timeout = TIMEOUT
) -> dict[str, Any]:
    """How ``httpx`` is to talk to the API: for ``httpx.Client`` and ``httpx.AsyncClient`` alike.

    Raises:
        SettingsError: the URL or the token is none.
    """
    learn_address(url)
    learn_secrets([token])
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, UnicodeError) as error:
        raise SettingsError(f"{hide_secrets(url)!r} is no URL of an API (FLOWER_URL): {error}") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise SettingsError(
            f"{hide_secrets(url)!r} is no URL of an API (FLOWER_URL): it begins with http:// or https://"
        )
    if token and not (token.isascii() and token.isprintable()):
        raise SettingsError("FLOWER_TOKEN holds characters that no token has")
    headers = {"Flower-Client": client}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    return {
        "base_url": url,
        "headers": headers,
        "timeout": timeout,
        "limits": httpx.Limits(max_connections=2 * MOST_WAITING, max_keepalive_connections=MOST_WAITING),
        # Reading the certificates of all authorities takes longer than a call, and http needs none.
        "verify": parsed.scheme == "https",
        # No proxy of the environment may stand between this machine and itself.
        "trust_env": not _is_this_machine(parsed.host),
    }


def as_httpx(client: httpx.Client | httpx.AsyncClient, request: Request) -> httpx.Request:
    headers = dict(_JSON) if request.body is not None else {}
    if request.key is not None:
        headers["Idempotency-Key"] = request.key
    if request.traceparent:
        headers["traceparent"] = request.traceparent
    if request.last_event:
        headers["Last-Event-ID"] = request.last_event
    query = {name: value for name, value in request.query.items() if value is not None}
    if request.waits:
        query["wait"] = round(request.waits, 3)
    seconds = request.seconds + request.waits
    timeout = httpx.Timeout(seconds, connect=min(request.seconds, CONNECT_SECONDS))
    return client.build_request(
        request.method,
        request.path,
        params=query or None,
        content=request.body,
        headers=headers,
        timeout=timeout,
    )


def why_unreached(url: str, error: httpx.HTTPError) -> str:
    said = hide_secrets(f"{url} ({error or type(error).__name__})")
    return f"the API at {said} cannot be reached: start the engine with 'flower up', or set FLOWER_URL"


def _is_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
