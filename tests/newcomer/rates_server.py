"""An API of rates of exchange on this machine, which is busy when it is asked first."""

import contextlib
import json
import threading
from collections import Counter
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

RATES = {"USD": "1.25", "GBP": "0.8", "CHF": "0.9345"}


class RatesServer:
    """``asked``: how often for each currency."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: Counter[str] = Counter()

    def answer(self, path: str) -> tuple[int, dict[str, str], object]:
        """Status, headers and JSON for the path of a request."""
        currency = path.rpartition("/")[2]
        self.asked[currency] += 1
        if self.asked[currency] == 1:
            return 503, {"Retry-After": "0"}, {}
        if self.asked[currency] == 2:
            return 500, {}, {}
        return 200, {}, {"rate": float(RATES[currency])}


@contextlib.contextmanager
def rates_server() -> Generator[RatesServer]:
    """Serves until the block is left."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the name that the library calls
            status, headers, content = served.answer(self.path)
            body = json.dumps(content).encode()
            self.send_response(status)
            for name, text in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, text)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002 # as the library has it

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        served = RatesServer(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield served
        finally:
            server.shutdown()
            thread.join()
