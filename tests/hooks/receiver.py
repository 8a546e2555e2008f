"""A real HTTP server that is told what hooks tell, and answers as a test wants it to."""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

PATIENCE_SECONDS = 120.0


class Call(NamedTuple):
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        return json.loads(self.body)

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


Answer = Callable[[Call], tuple[int, dict[str, str], bytes]]


def well(_: Call) -> tuple[int, dict[str, str], bytes]:
    return 204, {}, b""


class Receiver:
    """``answer`` may be set at any time; it may block until ``released``."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.answer: Answer = well
        self.released = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                call = Call(self.path, headers, body)
                receiver.calls.append(call)
                status, more, answer = receiver.answer(call)
                try:
                    self.send_response(status)
                    for name, value in more.items():
                        self.send_header(name, value)
                    self.send_header("content-length", str(len(answer)))
                    self.end_headers()
                    self.wfile.write(answer)
                except OSError:
                    self.close_connection = True

            def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002 # as it is there

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return self._server.server_address[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def hang(self, call: Call) -> tuple[int, dict[str, str], bytes]:
        """An answer that comes when the test says so."""
        self.released.wait(PATIENCE_SECONDS)
        return well(call)

    def wait_for(self, count: int) -> list[Call]:
        """The calls, as soon as there are so many."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(self.calls) < count:
            assert time.monotonic() < deadline, f"{len(self.calls)} calls instead of {count}"
            time.sleep(0.01)
        return list(self.calls)

    def close(self) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def receiving() -> Generator[Receiver]:
    receiver = Receiver()
    try:
        yield receiver
    finally:
        receiver.close()


def is_signed(call: Call, secret: str) -> bool:
    """Whether the call is signed with the secret, as a receiver would check it."""
    key = secret.encode()
    if secret.startswith("whsec_"):
        key = base64.b64decode(secret[6:])
    signed = f"{call.headers['webhook-id']}.{call.headers['webhook-timestamp']}.".encode() + call.body
    wanted = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    is_recent = abs(time.time() - int(call.headers["webhook-timestamp"])) < 300
    return is_recent and wanted in call.headers["webhook-signature"].split()
