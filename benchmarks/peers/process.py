"""The processes of a peer: its servers, its workers, and the one that enqueues."""

import contextlib
import dataclasses
import json
import os
import select
import signal
import subprocess
from collections.abc import Generator, Mapping
from pathlib import Path

from benchmarks.peers.errors import PeerError
from benchmarks.peers.messages import Done, Order
from flower_engine.embedded.processes import spawn, tail

ROOT = Path(__file__).resolve().parents[2]
_STOP_SECONDS = 3.0


def environment_of(name: str) -> Path:
    """The folder with the programs of a peer's virtual environment.

    Raises:
        PeerError: it was not installed.
    """
    folder = ROOT / (".venv" if name == "flower" else f".venv-peers/{name}") / "bin"
    if not (folder / "python").exists() or not (name == "flower" or (folder.parent / ".installed").exists()):
        raise PeerError("not installed: see what 'make bench-peers' says about it")
    return folder


@contextlib.contextmanager
def running(
    name: str, words: list[str], variables: Mapping[str, str], folder: Path, title: str
) -> Generator[subprocess.Popen[bytes]]:
    """A process of a peer, ended with its children when the block is left; it prints to ``<title>.log``."""
    programs = environment_of(name)
    with (folder / f"{title}.log").open("wb") as output:
        process = spawn(
            [programs / words[0], *words[1:]],
            folder=ROOT,
            output=output,
            dies_by=signal.SIGKILL,
            environment=_variables(programs, variables),
        )
    try:
        yield process
    finally:
        process.terminate()
        _end(process)


class Client:
    """The process that enqueues for a peer."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: Path) -> None:
        self._name = name
        self._process = process
        self._log = log

    @classmethod
    @contextlib.contextmanager
    def started(cls, name: str, variables: Mapping[str, str], folder: Path) -> Generator["Client"]:
        """Start it and end it when the block is left."""
        programs, log = environment_of(name), folder / "client.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [programs / "python", "-m", "benchmarks.peers.client", name],
                cwd=ROOT,
                env=_variables(programs, variables),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                start_new_session=True,
            )
        try:
            yield cls(name, process, log)
        finally:
            assert process.stdin is not None
            with contextlib.suppress(OSError):
                process.stdin.close()  # it ends by itself then
            _end(process)

    def tell(self, order: Order, seconds: float) -> Done:
        """Have an order carried out. Raises PeerError if that fails or takes longer than ``seconds``."""
        return Done(**json.loads(self.ask(order, seconds)))

    def ask(self, order: Order, seconds: float) -> bytes:
        """The answer to an order, as JSON."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(dataclasses.asdict(order)).encode() + b"\n")
            self._process.stdin.flush()
        if not select.select([self._process.stdout], [], [], seconds)[0]:
            raise PeerError(f"the call '{order.do}' took longer than {seconds:g} s")
        answer = self._process.stdout.readline()
        if not answer:
            raise PeerError(f"the call '{order.do}' failed: {last_words(self._log)}")
        return answer


def last_words(log: Path) -> str:
    """The last line of a log that says something."""
    return tail(log, lines=1).strip() or "it said nothing"


def _variables(programs: Path, variables: Mapping[str, str]) -> dict[str, str]:
    """The caller's environment, without what is set for a Flower of theirs, and with what a peer needs."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("FLOWER_")}
    path = os.pathsep.join([str(programs), kept.get("PATH", "")])
    return {**kept, "PYTHONPATH": str(ROOT), "PATH": path, "PYTHONUNBUFFERED": "1", **variables}


def _end(process: subprocess.Popen[bytes]) -> None:
    """Give a process a moment to end, then kill what is left of its group; each was started in its own."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
