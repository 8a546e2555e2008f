"""The worker of ``flower dev``: one at a time, with the code as it is; the one before ends beside it."""

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from flower_cli.local.own_engine import ELSEWHERE
from flower_cli.local.supervisor import describe_end, service_command
from flower_engine.embedded.processes import end, spawn

_STOP_SECONDS = 60.0
_AGAIN_SECONDS = 2.0


class DevWorkers:
    """Starts a worker, replaces it, and starts it again where it dies by itself."""

    def __init__(self, home: Path, log: Path, api_url: str) -> None:
        """``home``: the data folder of the engine whose tasks they run; ``log``: what they say."""
        self.log = log
        # As `flower up` has it for its own.
        blobs = os.environ.get("FLOWER_BLOBS") or "api"
        own = {"FLOWER_URL": api_url, "FLOWER_BLOBS": blobs, **dict.fromkeys(ELSEWHERE, "")}
        self._environment = {**os.environ, **own}
        self._home = home
        self._words: Sequence[str] = ()
        self._worker: subprocess.Popen[bytes] | None = None
        self._leaving: list[subprocess.Popen[bytes]] = []
        self._again_at = 0.0

    def replace(self, words: Sequence[str]) -> None:
        """A new worker, with these words of its command line; then the one before may go: it takes nothing
        more, and what it runs may end (``FLOWER_GRACE_SECONDS``)."""
        before, self._words = self._worker, words
        self._start()
        if before is not None:
            before.terminate()
            self._leaving.append(before)

    def look_after(self) -> str | None:
        """Starts a worker again that died, after a pause; the sentence to say of it."""
        self._leaving = [process for process in self._leaving if process.poll() is None]
        if self._worker is None:
            if self._again_at and time.monotonic() >= self._again_at:
                self._start()
            return None
        code = self._worker.poll()
        if code is None:
            return None
        self._worker, self._again_at = None, time.monotonic() + _AGAIN_SECONDS
        return f"the worker ended {describe_end(code)}; starting it again"

    def stop(self) -> None:
        """Ends all of them; what they run has its time."""
        running = [one for one in (*self._leaving, self._worker) if one is not None and one.poll() is None]
        for process in running:
            process.terminate()
        for process in running:
            end(process, signal.SIGTERM, patience_seconds=_STOP_SECONDS)

    def _start(self) -> None:
        self._again_at = 0.0
        with self.log.open("ab") as output:
            self._worker = spawn(
                service_command("worker", "--home", str(self._home), *self._words),
                folder=Path.cwd(),
                output=output,
                dies_by=signal.SIGTERM,
                environment={**self._environment, **_import_path()},
            )


def _import_path() -> dict[str, str]:
    """Where modules are looked for, which the target says, so it may have changed since the start."""
    return {"PYTHONPATH": os.environ["PYTHONPATH"]} if "PYTHONPATH" in os.environ else {}
