"""The process that enqueues: it runs in the peer's virtual environment and takes orders on standard input.

    python -m benchmarks.peers.client <peer>

Standard output carries the answers and nothing else: what the libraries print goes to standard error.
"""

import asyncio
import dataclasses
import importlib
import importlib.metadata
import importlib.util
import inspect
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks.peers.messages import Description, Done, Order
from benchmarks.peers.peer import Peer


async def main(name: str) -> None:
    """Carry out orders until there are no more."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    peer: Peer = importlib.import_module(f"benchmarks.peers.apps.{name}").PEER
    was_opened = False
    for line in sys.stdin:
        order = Order(**json.loads(line))
        answer = _described(peer) if order.do == "describe" else await _carried_out(peer, order)
        print(json.dumps(dataclasses.asdict(answer)), file=answers, flush=True)
        was_opened = was_opened or order.do == "open"
    if was_opened:
        await _call(peer.close)


async def _carried_out(peer: Peer, order: Order) -> Done:
    is_known = True
    began = time.monotonic_ns()
    if order.do == "open":
        await _call(peer.open)
    elif order.do == "prepare":
        await _call(peer.prepare, order.length, order.number)
    elif order.do == "single":
        await _call(peer.single, order.count)
    elif order.do == "bulk":
        is_known = await _call(peer.bulk, order.count)
    elif order.do == "chains":
        await _call(peer.chains, order.count, order.length, order.number)
    else:
        raise ValueError(f"no such order: {order.do}")
    return Done(began, time.monotonic_ns(), is_known)


async def _call(method: Callable[..., Any], *arguments: int) -> Any:
    """Call a method of a peer, whichever kind it is; no loop may run where the blocking ones do."""
    if inspect.iscoroutinefunction(method):
        return await method(*arguments)
    return await asyncio.to_thread(method, *arguments)


def _described(peer: Peer) -> Description:
    return Description(
        ", ".join(f"{package} {importlib.metadata.version(package)}" for package in peer.packages),
        peer.store,
        peer.is_durable,
        peer.setting,
        peer.ordering,
        list(peer.sizes),
        peer.variables,
        peer.servers(),
        peer.workers(),
    )


def _runner() -> asyncio.Runner:
    factory: Any = None
    if importlib.util.find_spec("uvloop"):
        factory = importlib.import_module("uvloop").new_event_loop
    return asyncio.Runner(loop_factory=factory)


if __name__ == "__main__":
    with _runner() as runner:
        runner.run(main(sys.argv[1]))
