"""Somebody who does what a page says, with what is installed, and nothing else."""

import json
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from newcomer.page_blocks import blocks_of, steps_of, told

_PATIENCE_SECONDS = 180.0
_STAYING = ("flower dev ", "flower up ")
_WORKING = ("flower resume ", "flower rerun ")


class Reader:
    """With a folder, and two terminals: in one of them an engine may stay."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._environment = dict(environment)
        self._engine: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_engine()

    def follow(self, name: str, page: str) -> None:
        """Writes the files and enters the commands of a page, as they stand."""
        for block in blocks_of(page):
            if block.file:
                (self._folder / block.file).write_text(block.text)
                continue
            for command, printed in steps_of(block):
                began = time.monotonic()
                print(f"$ {command}", flush=True)
                if command.startswith(_STAYING):
                    self._begin_engine(command)
                    continue
                said = self._enter(command, name)
                assert told(said, printed), f"it printed\n{said}\nand {name} says\n{printed}"
                print(f"{said}  ({time.monotonic() - began:.1f} s)", flush=True)

    def _enter(self, command: str, name: str) -> str:
        """What it prints; of one that fails, as a page may show it, what it says of that, too."""
        done = subprocess.run(
            command,
            shell=True,
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Traceback" not in done.stderr, f"{name}: {command}: {done.stderr}"
        if command.startswith(_WORKING):  # the reader looks again when it has ended
            self._wait("the flow to rest", self._rests)
        return done.stdout + ("\n".join(_last(done.stderr)) if done.returncode and not done.stdout else "")

    def _begin_engine(self, command: str) -> None:
        """In the other terminal; what was there is ended with Ctrl-C."""
        self._end_engine()
        log = (self._folder / "engine.log").open("ab")
        with log:
            self._engine = subprocess.Popen(
                ["sh", "-c", f"exec {command}"],
                cwd=self._folder,
                env=self._environment,
                stdout=log,
                stderr=log,
            )
        self._wait("the engine", lambda: self._asked("flower flows --json") is not None)
        self._wait("its worker", lambda: self._asked("flower workflows restock --json") is not None)

    def _end_engine(self) -> None:
        if self._engine is not None:
            self._engine.send_signal(signal.SIGINT)
            self._engine.wait(_PATIENCE_SECONDS)
            self._engine = None

    def _rests(self) -> bool:
        flow = self._asked("flower show last --json")
        return flow is not None and flow["status"] in ("Finish", "Suspend", "Failed", "Ignore")

    def _asked(self, command: str) -> dict[str, object] | None:
        done = subprocess.run(
            command, shell=True, cwd=self._folder, env=self._environment, capture_output=True, check=False
        )
        return json.loads(done.stdout) if done.returncode == 0 else None

    def _wait(self, what: str, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not condition():
            log = self._folder / "engine.log"
            assert time.monotonic() < deadline, f"waited in vain for {what}\n{log.read_text()[-3000:]}"
            time.sleep(0.2)


def _last(said: str) -> list[str]:
    return [line for line in said.splitlines() if line.startswith("error:")]
