"""``make bench-peers``: Flower and its peers on the same workloads; a whole run writes a dated file.

    python -m benchmarks.peers [PEER ...] [--scale 0.1]

Flower is always one of them, for the ratios. A run of some peers, or on another scale, is for looking at
only and writes no file.
"""

import argparse
import contextlib
import datetime
import json
import signal
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType
from typing import NoReturn

from rich.console import Console

from benchmarks.peers.environment import describe_environment
from benchmarks.peers.errors import PeerError
from benchmarks.peers.messages import Description, Order
from benchmarks.peers.process import Client
from benchmarks.peers.report import FLOWER, Row, cell, report
from benchmarks.peers.stage import Stage
from benchmarks.peers.workloads import PUBLISHED, SPEEDS, Workload, sizes_of
from flower_engine.errors import FlowerError

_APPS = Path(__file__).with_name("apps")
_RESULTS = Path(__file__).resolve().parents[1] / "results"
_DESCRIBE_SECONDS = 60.0
_out = Console()


def main() -> None:
    """Measure, print and, after a whole run, write."""
    everyone = sorted(file.stem for file in _APPS.glob("*.py") if file.stem not in (FLOWER, "__init__"))
    arguments = _arguments(everyone)
    chosen = [FLOWER, *(name for name in arguments.peers or everyone if name != FLOWER)]
    signal.signal(signal.SIGTERM, _leave)  # ends what was started, like Ctrl-C
    began = time.perf_counter()
    rows = [_measured(name, arguments.scale) for name in chosen]
    date = datetime.datetime.now(tz=datetime.UTC)
    text = report({"date": date.isoformat(timespec="seconds"), **describe_environment()}, rows)
    _say(f"{time.perf_counter() - began:.0f} s")
    print(text)
    if arguments.peers or arguments.scale != 1:
        _say("not a whole run: no file was written")
        return
    name = date.strftime("%Y-%m-%d-%H%M%S-peers.md")
    _RESULTS.mkdir(exist_ok=True)
    (_RESULTS / name).write_text(text)
    _say(f"written to benchmarks/results/{name}")


def _leave(number: int, _: FrameType | None) -> NoReturn:
    sys.exit(128 + number)


def _arguments(everyone: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description="Flower and its peers")
    parser.add_argument(
        "peers", nargs="*", metavar="PEER", help=f"{', '.join(everyone)}; all if none is named"
    )
    parser.add_argument("--scale", type=float, default=1.0, help="share of the usual number of tasks")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.peers if name not in (*everyone, FLOWER)]
    if unknown:
        parser.error(f"unknown peer {', '.join(unknown)}: there are {', '.join(everyone)}")
    if arguments.scale <= 0:
        parser.error("--scale must be more than 0")
    return arguments


def _measured(name: str, scale: float) -> Row:
    """All workloads of one peer; what fails is noted."""
    row = Row(name)
    try:
        row.peer = _described(name)
    except PeerError as error:
        row.failures["everything"] = str(error)
        _say(f"{name}: {error}")
        return row
    for workload in (*SPEEDS, *PUBLISHED):
        with _status(f"{name}: {workload.title} ..."):
            _measure(row, row.peer, workload, scale)
        _say(f"{name}: {workload.title}: {cell(row, workload)}")
    return row


def _measure(row: Row, peer: Description, workload: Workload, scale: float) -> None:
    try:
        with Stage.set_up(row.name, peer) as stage:
            found = workload.measure(stage, sizes_of(peer, scale))
        if found is not None:
            row.figures[workload.title] = found
    except FlowerError as error:  # a store that does not start is one, too
        row.failures[workload.title] = str(error)


def _described(name: str) -> Description:
    with (
        tempfile.TemporaryDirectory(prefix="peers-") as folder,
        Client.started(name, {}, Path(folder)) as client,
    ):
        return Description(**json.loads(client.ask(Order("describe"), _DESCRIBE_SECONDS)))


def _status(text: str) -> contextlib.AbstractContextManager[object]:
    return _out.status(text) if _out.is_terminal else contextlib.nullcontext()


def _say(text: str) -> None:
    _out.print(text, highlight=False, markup=False, soft_wrap=True)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
