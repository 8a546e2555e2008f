"""OTLP over gRPC."""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from flower_engine.otlp.receiver import (
    ReceiverAwayError,
    ReceiverFailedError,
    RequestRefusedError,
    RequestTooLargeError,
)
from flower_engine.secrets import hide_secrets

_SECONDS = 20.0
_METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
_PORT = 4317
_MOST_WORDS = 300
_REFUSED = (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION)
_FAILED = (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.DATA_LOSS)


class GrpcReceiver:
    """A receiver at ``http://host:port``, or with TLS at ``https://host:port``."""

    def __init__(self, endpoint: str, headers: Mapping[str, str], *, seconds: float = _SECONDS) -> None:
        parts = urlsplit(endpoint)
        self._target = f"{parts.hostname}:{parts.port or _PORT}"
        if ":" in (parts.hostname or ""):
            self._target = f"[{parts.hostname}]:{parts.port or _PORT}"
        self._metadata = tuple((name.lower(), value) for name, value in headers.items())
        self._seconds = seconds
        if parts.scheme == "https":
            self._channel = grpc.secure_channel(self._target, grpc.ssl_channel_credentials())
        else:
            self._channel = grpc.insecure_channel(self._target)
        self._call: Any = self._channel.unary_unary(
            _METHOD,
            request_serializer=bytes,
            response_deserializer=ExportTraceServiceResponse.FromString,
        )

    async def send(self, request: bytes) -> str:
        # The blocking form, on a thread: that for asyncio polls for all loops of a process in one of its own.
        call = partial(self._call, request, timeout=self._seconds, metadata=self._metadata)
        try:
            partly = (await asyncio.to_thread(call)).partial_success
        except grpc.RpcError as error:
            failed: Any = error
            raise self._error_of(failed.code(), failed.details() or "") from error
        if not partly.rejected_spans:
            return ""
        return f"{partly.rejected_spans} spans were not taken: {partly.error_message[:_MOST_WORDS]}"

    async def close(self) -> None:
        await asyncio.to_thread(self._channel.close)

    def _error_of(self, code: grpc.StatusCode, details: str) -> Exception:
        said = hide_secrets(f"{self._target} answers {code.name}: {details[:_MOST_WORDS]}")
        if code is grpc.StatusCode.RESOURCE_EXHAUSTED and "larger than max" in details:
            return RequestTooLargeError(said)
        if code in _REFUSED:
            return RequestRefusedError(said)
        return ReceiverFailedError(said) if code in _FAILED else ReceiverAwayError(said)
