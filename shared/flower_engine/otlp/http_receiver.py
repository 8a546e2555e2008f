"""OTLP over HTTP: protobuf in the body of a POST."""

from collections.abc import Mapping
from urllib.parse import urlsplit

import httpx
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from flower_engine.otlp.receiver import (
    ReceiverAwayError,
    ReceiverFailedError,
    RequestRefusedError,
    RequestTooLargeError,
)
from flower_engine.retry_after import asked_seconds
from flower_engine.secrets import hide_secrets

_SECONDS = 20.0
_REFUSED = (400, 422)
_TOO_LARGE = 413
_CANNOT_NOW = (502, 503, 504)
_PATH = "/v1/traces"
_MOST_WORDS = 300  # characters of what it answers
_HERE = ("localhost", "127.0.0.1", "::1")


class HttpReceiver:
    """A receiver at a URL; one without a path has it at ``/v1/traces``."""

    def __init__(self, endpoint: str, headers: Mapping[str, str], *, seconds: float = _SECONDS) -> None:
        parts = urlsplit(endpoint)
        self._url = endpoint if parts.path.strip("/") else endpoint.rstrip("/") + _PATH
        self._client = httpx.AsyncClient(
            headers={**headers, "Content-Type": "application/x-protobuf"},
            timeout=seconds,
            verify=parts.scheme == "https",
            trust_env=parts.hostname not in _HERE,  # no proxy stands between this machine and itself
        )

    async def send(self, request: bytes) -> str:
        try:
            answer = await self._client.post(self._url, content=request)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ReceiverAwayError(hide_secrets(f"{self._url}: {error or type(error).__name__}")) from error
        if answer.is_success:
            return _left_out(answer.content)
        said = hide_secrets(f"{self._url} answers {answer.status_code}: {answer.text[:_MOST_WORDS]}")
        if answer.status_code == _TOO_LARGE:
            raise RequestTooLargeError(said)
        if answer.status_code in _REFUSED:
            raise RequestRefusedError(said)
        if answer.is_server_error and answer.status_code not in _CANNOT_NOW:
            raise ReceiverFailedError(said)
        raise ReceiverAwayError(said, asked_seconds(answer.headers) or 0.0)

    async def close(self) -> None:
        await self._client.aclose()


def _left_out(content: bytes) -> str:
    try:
        partial = ExportTraceServiceResponse.FromString(content).partial_success
    except DecodeError:
        return ""  # some answer JSON, or words
    if not partial.rejected_spans:
        return ""
    return f"{partial.rejected_spans} spans were not taken: {partial.error_message[:_MOST_WORDS]}"
