"""A real receiver of OTLP, over HTTP or gRPC: what it is sent is decoded by OpenTelemetry's own protobuf."""

import threading
from collections.abc import Mapping
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,  # pyright: ignore[reportUnknownVariableType]
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from flower_engine.otlp.receiver import Protocols

TAKES = 200


class Told(NamedTuple):
    """A span as tests compare it: hexadecimal ids, milliseconds."""

    trace: str
    id: str
    parent: str
    name: str
    start_ms: int
    end_ms: int
    attributes: frozenset[tuple[str, Any]]


class Received:
    """What has come, and what is to be answered. ``answers``: HTTP statuses, one a request, before all are
    taken again; ``most_spans``: more in a request are too many."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.requests: list[ExportTraceServiceRequest] = []
        self.headers: list[Mapping[str, str]] = []
        self.answers: list[int] = []
        self.asked = 0
        self.most_spans = 10**9
        self.holds: threading.Event | None = None  # waits for it before it answers
        self._lock = threading.Lock()

    def take(self, request: ExportTraceServiceRequest, headers: Mapping[str, str]) -> int:
        """Takes a request, or not; returns the status."""
        self.asked += 1
        if self.holds is not None:
            self.holds.wait(60)
        with self._lock:
            self.headers.append(headers)
            spans = _spans_of(request)
            answer = self.answers.pop(0) if self.answers else TAKES
            if len(spans) > self.most_spans:
                answer = 413
            if answer != TAKES:
                return answer
            self.requests.append(request)
            self.spans += spans
            return TAKES

    def told(self) -> list[Told]:
        """All spans that came, in the order in which they did."""
        with self._lock:
            return [_told(span) for span in self.spans]


class HttpReceiverServer:
    """Over HTTP on a free port."""

    protocol: Protocols = "http"

    def __init__(self) -> None:
        self.received = received = Received()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:  # as it is there
                body = self.rfile.read(int(self.headers["content-length"]))
                assert self.path == "/v1/traces"
                assert self.headers["content-type"] == "application/x-protobuf"
                request = ExportTraceServiceRequest.FromString(body)
                status = received.take(request, {k.lower(): v for k, v in self.headers.items()})
                self.send_response(status)
                if status == 503:
                    self.send_header("Retry-After", "0")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None: ...  # noqa: A002 # as it is there

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


_CODES = {
    503: grpc.StatusCode.UNAVAILABLE,
    401: grpc.StatusCode.UNAUTHENTICATED,
    400: grpc.StatusCode.INVALID_ARGUMENT,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
}


class GrpcReceiverServer(TraceServiceServicer):
    """Over gRPC on a free port."""

    protocol: Protocols = "grpc"

    def __init__(self) -> None:
        self.received = Received()
        self._server = grpc.server(futures.ThreadPoolExecutor(4))
        add_TraceServiceServicer_to_server(self, self._server)
        self.endpoint = f"http://127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"

    def Export(self, request: Any, context: Any) -> ExportTraceServiceResponse:  # noqa: N802 # as it is there
        status = self.received.take(request, dict(context.invocation_metadata()))
        if status != TAKES:
            context.abort(_CODES[status], "Received message larger than max" if status == 413 else "no")
        return ExportTraceServiceResponse()

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(None).wait()


def told_in(request: bytes) -> list[Told]:
    """The spans of an encoded request."""
    return [_told(span) for span in _spans_of(ExportTraceServiceRequest.FromString(request))]


def _spans_of(request: ExportTraceServiceRequest) -> list[Span]:
    return [span for one in request.resource_spans for scoped in one.scope_spans for span in scoped.spans]


def _told(span: Span) -> Told:
    return Told(
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.name,
        span.start_time_unix_nano // 1_000_000,
        span.end_time_unix_nano // 1_000_000,
        frozenset(
            (one.key, getattr(one.value, str(one.value.WhichOneof("value")))) for one in span.attributes
        ),
    )
