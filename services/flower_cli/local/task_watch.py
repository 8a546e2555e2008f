"""Shows a flow that runs here, and what its programs print: on a terminal a live table of its tasks,
elsewhere a line for each that ends."""

import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.text import Text

from flower_cli.local.lines import is_own_line
from flower_engine.client import Flow, Task
from flower_engine.client.flow_tables import COLOURS, MARKS
from flower_engine.secrets import hide_secrets

_LOOK_SECONDS = 0.1
_WAIT_SECONDS = 0.5  # for the flow to move; what programs print comes meanwhile
_SHARE = 5
_PLAIN = {"Suspend": "x", "Finish": "+", "Ignore": "-"}
_ENDED = ("Finish", "Suspend", "Ignore")

Read = Callable[[int, float], Flow]
"""The flow once it is of a later version than this one, or so many seconds are over."""


class PrintedLines:
    """What programs print, out of the log of an engine (its workers' lines), or of a worker (``is_prefixed``
    is False); without the lines of Flower's own."""

    def __init__(self, log: Path, console: Console, *, is_prefixed: bool = True) -> None:
        self._log = log
        self._console = console
        self._is_prefixed = is_prefixed
        self._at = 0
        self._rest = b""

    def tell(self) -> None:
        """Prints what came since the last time."""
        try:
            with self._log.open("rb") as file:
                file.seek(self._at)
                new = file.read()
        except FileNotFoundError:
            return
        self._at += len(new)
        *lines, self._rest = (self._rest + new).split(b"\n")
        for raw in lines:
            line = raw.decode(errors="replace")
            if self._is_prefixed:
                name, _, text = line.partition("|")
                if not name.startswith("worker"):
                    continue
                line = text.removeprefix(" ")
            if not is_own_line(line):
                self._console.print(Text(hide_secrets(line)))


def watch(console: Console, read: Read, printed: PrintedLines, timeout: float | None = None) -> Flow:
    """Shows the flow until nothing more of it happens by itself, or the time is over; as it was read last."""
    deadline = None if timeout is None else time.monotonic() + timeout
    shown = _Shown(console)
    version, cost_seconds = -1, 0.0
    with Live(console=console, auto_refresh=False) if console.is_terminal else _NoLive() as live:
        while True:
            began = time.monotonic()
            flow = read(version, _WAIT_SECONDS if version >= 0 else 0.0)
            if version < 0:
                cost_seconds = time.monotonic() - began  # of a look that waits for nothing
            version = flow.version
            printed.tell()
            if isinstance(live, Live):
                live.update(flow, refresh=True)
            else:
                shown.tell(flow)
            if flow.is_over or (deadline is not None and time.monotonic() >= deadline):
                return flow
            spent_seconds = time.monotonic() - began
            time.sleep(max(_LOOK_SECONDS - spent_seconds, _SHARE * cost_seconds, 0.0))


class _NoLive:
    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...


class _Shown:
    """Says each task once as it ends, and each time that it is tried again."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._ended: dict[int, int] = {}
        self._failures: dict[int, int] = {}
        self._rounds: dict[int, int] = {}

    def tell(self, flow: Flow) -> None:
        for task in flow.tasks:
            seq = task.task_exec_seq
            if task.failures > self._failures.get(seq, 0) and task.status not in _ENDED:
                self._failures[seq] = task.failures
                self._say("Wait", f"task {seq} {task.name}: attempt {task.attempt} failed, another follows")
            if task.again_ts is not None and task.round > self._rounds.get(seq, 0):
                self._rounds[seq] = task.round
                self._say("Wait", f"task {seq} {task.name}: round {task.round} follows")
            if task.status in _ENDED and self._ended.get(seq) != task.attempt:
                self._ended[seq] = task.attempt
                self._say(task.status, _line(task))

    def _say(self, status: str, line: str) -> None:
        marks = MARKS if self._console.encoding.lower().startswith("utf") else _PLAIN
        self._console.print(Text(f"{marks.get(status, '.')} {line}", style=COLOURS.get(status, "")))


def _line(task: Task) -> str:
    spent = "" if task.seconds is None else f" {task.seconds:.1f} s"
    why = ""
    if task.status == "Suspend" and task.error is not None:
        why = f"  {task.error.type}: {task.error.message.partition(chr(10))[0]}"
    return f"task {task.task_exec_seq} {task.name}: {task.status}{spent}{why}"
