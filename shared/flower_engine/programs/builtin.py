"""The programs that every worker serves: the seed's three, one that does nothing, one that tells the time."""

import asyncio
import functools
import math
import random
import ssl
import time
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from flower_engine.programs.registry import program

if TYPE_CHECKING:
    import httpx

_CONNECT_SECONDS = 10.0
_WHOLE_SECONDS = 60.0
_HEAD_BYTES = 2_000
_JSON = {"Content-Type": "application/json"}


@program("EchoRandomTimeSleep")
async def echo_random_time_sleep() -> dict[str, float]:
    """Sleeps one to five seconds."""
    seconds = round(random.uniform(1, 5), 3)
    await asyncio.sleep(seconds)
    return {"sleptSeconds": seconds}


@program("EchoParamTimeSleep")
async def echo_param_time_sleep(
    sleep_time_second: Annotated[float, msgspec.Meta(ge=0)],
) -> dict[str, float]:
    """Sleeps as long as its parameter SLEEP_TIME_SECOND says."""
    if not math.isfinite(sleep_time_second):
        raise ValueError(f"SLEEP_TIME_SECOND is {sleep_time_second}; it must be a finite number of seconds")
    await asyncio.sleep(sleep_time_second)
    return {"sleptSeconds": sleep_time_second}


@program("HTTPPostRequest")
async def http_post_request(url: str, body: Any = "") -> dict[str, Any]:
    """Posts BODY as JSON to URL; an answer other than 2xx is an error.

    A BODY that is text is sent as it is; any other JSON value is encoded first.
    """
    import httpx  # noqa: PLC0415 # slow to import; only workers that post pay for it

    content = body.encode() if isinstance(body, str) else msgspec.json.encode(body)
    limits = httpx.Timeout(_WHOLE_SECONDS, connect=_CONNECT_SECONDS)
    try:
        async with (
            asyncio.timeout(_WHOLE_SECONDS),
            httpx.AsyncClient(verify=_trust(), timeout=limits) as client,
            client.stream("POST", url, content=content, headers=_JSON) as response,
        ):
            head = await _head(response)
    except (TimeoutError, httpx.TimeoutException) as error:
        raise TimeoutError(f"POST {url} got no whole answer in time ({type(error).__name__})") from error
    except httpx.TransportError as error:
        raise ConnectionError(f"POST {url} got no answer: {type(error).__name__}: {error}") from error
    if not response.is_success:
        raise httpx.HTTPStatusError(
            f"POST {url} answered {response.status_code} {response.reason_phrase}: {head}",
            request=response.request,
            response=response,
        )
    return {"status": response.status_code, "body": head}


@program("Noop")
async def noop() -> None:
    """Does nothing, at once."""


@program("Clock")
async def clock() -> dict[str, str]:
    """Tells when it started by this machine's clock, in nanoseconds since 1970.

    As text: JSON numbers of that size lose digits in whatever reads them as doubles.
    """
    return {"unixNs": str(time.time_ns())}


@functools.cache
def _trust() -> ssl.SSLContext:
    """Reading the trusted certificates takes longer than a request on a good day: once is enough."""
    import httpx  # noqa: PLC0415

    return httpx.create_ssl_context()


async def _head(response: "httpx.Response") -> str:
    """The first part of the body as text; the rest is never read."""
    read = bytearray()
    async for part in response.aiter_bytes():
        read += part
        if len(read) >= _HEAD_BYTES:
            break
    return read[:_HEAD_BYTES].decode(response.encoding or "utf-8", "replace")
