"""``make test-ui``: the dashboard in a real Chromium, before a real engine with real flows.

The tests are TypeScript (``dashboard/tests/``); what they cannot do by themselves they ask of a control
server here, as to stop the API and start it anew.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from acceptance.running import RunningEngine
from ui.seed import seed

ROOT = Path(__file__).parents[2]
_TOKENS = "alice:s3cret-token,ci:other-token:read"
_SERVICES = ("api", "projector", "watcher", "worker")


def main() -> int:
    script = sys.argv[1] if len(sys.argv) > 1 else "tests/run.mjs"
    with tempfile.TemporaryDirectory(prefix="flower-ui-") as made:
        folder = Path(made)
        shutil.copy(Path(__file__).with_name("ui_programs.py"), folder / "shop.py")
        with (
            RunningEngine.started_through(
                lambda addresses: addresses,
                folder,
                *_SERVICES,
                anew=True,
                with_tables=True,
                FLOWER_PROGRAMS="shop",  # from there, so that pictures show no path of a checkout
                FLOWER_LEASE_SECONDS="60",
                PYTHONPATH=str(folder),
            ) as engine,
            _empty(folder / "empty") as empty,
        ):
            flows = seed(engine.client, folder)
            with _control(engine, folder) as control:
                environment = {
                    **os.environ,
                    "FLOWER_UI_URL": engine.url,
                    "FLOWER_UI_EMPTY_URL": empty.url,
                    "FLOWER_UI_CONTROL": control,
                    "FLOWER_UI_FLOWS": json.dumps(flows),
                }
                done = subprocess.run(
                    ["node", script, *sys.argv[2:]], cwd=ROOT / "dashboard", env=environment, check=False
                )
            (folder / "told").touch()
    return done.returncode


def _empty(folder: Path) -> AbstractContextManager[RunningEngine]:
    """Another engine of this host, which asks for tokens, and in which there is nothing yet."""
    folder.mkdir()
    return RunningEngine.started_through(
        lambda addresses: addresses,
        folder,
        "api",
        "projector",
        anew=True,
        with_tables=True,
        FLOWER_API_TOKENS=_TOKENS,
        FLOWER_PARTITIONS="4",
    )


class _control:  # noqa: N801 # used as a function
    """A server on loopback: ``/stop-api``, ``/start-api``, ``/guard-api`` (it
    asks for tokens from then on), ``/tell`` (the running flow may end)."""

    def __init__(self, engine: RunningEngine, folder: Path) -> None:
        acts = {
            "/stop-api": lambda: engine.stop("api"),
            "/start-api": lambda: engine.start("api"),
            "/guard-api": lambda: engine.start("api", FLOWER_API_TOKENS=_TOKENS),
            "/tell": (folder / "told").touch,
        }

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                acts[self.path]()
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                del format, args

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> str:
        self._thread.start()
        return f"http://127.0.0.1:{self._server.server_port}"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


if __name__ == "__main__":
    sys.exit(main())
