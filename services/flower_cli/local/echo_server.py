"""A small HTTP server for the demo: it answers a POST with what was posted."""

import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@contextmanager
def echo_server() -> Generator[str]:
    """Run the server on a free port of the loopback; yields its URL."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Echo) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/post"
        finally:
            server.shutdown()
            thread.join()


class _Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:  # the name that http.server looks for
        posted = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode(errors="replace")
        answer = json.dumps({"url": self.path, "data": posted}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 # the name of the parameter there
        """The demo shows what happens itself."""
