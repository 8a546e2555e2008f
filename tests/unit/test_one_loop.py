"""One loop: nothing in a service sleeps between two rounds, or reads the time itself, but what is listed."""

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLACES = (
    "services/flower_api",
    "services/flower_projector",
    "services/flower_watcher",
    "services/flower_worker",
    "shared/flower_engine/flows",
    "shared/flower_engine/insight",
    "shared/flower_engine/log",
    "shared/flower_engine/projection",
    "shared/flower_engine/runtime",
    "shared/flower_engine/transitions",
)

LOOPS = {
    "services/flower_worker/child_processes.py": "tries to start children until one starts",
    "services/flower_worker/exchange.py": "the same call is sent until it is answered, then never again",
    "services/flower_worker/transfers.py": "one call is made until the store of blobs can be used",
    "shared/flower_engine/flows/task_log_followers.py": "paced by what comes; says that a store is away",
    "shared/flower_engine/projection/maintain/replay.py": "gives way to others between two pages",
    "shared/flower_engine/runtime/loop.py": "it is the loop",
    "shared/flower_engine/runtime/partition_lives.py": "a partition is looked for anew once it was lost",
    "shared/flower_engine/runtime/loss_recovery.py": "what is lost is looked up anew after each recovery",
}
"""Files in which something is slept for between two rounds, each with the reason that it is no ``Loop``."""

CLOCKS = {
    "services/flower_worker/child.py": "the process of an attempt, which nothing is handed to",
    "services/flower_worker/identity.py": "when the process began",
    "shared/flower_engine/flows/bulk_operations.py": "how often the progress of a bulk operation is told",
    "shared/flower_engine/insight/published_signatures.py": "written down for people of another day",
    "shared/flower_engine/log/durability.py": "measures how long a server takes",
    "shared/flower_engine/runtime/clock.py": "it is the clock",
    "shared/flower_engine/runtime/exit_deadline.py": "the end of a process, on a thread of its own",
}
"""Files that read the clock of the machine, each with the reason that it is not handed in."""


@functools.cache
def _files() -> dict[str, ast.Module]:
    return {
        str(file.relative_to(ROOT)): ast.parse(file.read_text())
        for place in PLACES
        for file in sorted((ROOT / place).rglob("*.py"))
    }


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    """The node and all below it, without the functions and classes that are defined there."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            yield from _walk(child)


def _called(node: ast.AST) -> tuple[str, str]:
    """Of a call ``a.b()``: ("a", "b"); of anything else, words that are no names."""
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id=owner), attr=name)):
            return owner, name
        case ast.Call(func=ast.Attribute(attr=name)):
            return "", name
        case _:
            return "", ""


def _rests(loop: ast.AST) -> bool:
    return any(_called(node)[1] in {"sleep", "rest"} for node in _walk(loop))


def _reads_the_time(tree: ast.AST) -> bool:
    readings = {("time", name) for name in ("monotonic", "time", "time_ns", "perf_counter")}
    return any(_called(node) in readings for node in ast.walk(tree))


def test_whatever_is_done_again_and_again_is_a_loop() -> None:
    found = {
        name
        for name, tree in _files().items()
        if any(isinstance(node, ast.While) and _rests(node) for node in ast.walk(tree))
    }
    assert found == LOOPS.keys()


def test_clocks_are_handed_in() -> None:
    assert {name for name, tree in _files().items() if _reads_the_time(tree)} == CLOCKS.keys()


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("while True:\n    await asyncio.sleep(1)", True),
        ("while not stop:\n    try:\n        pass\n    except OSError:\n        await clock.rest(1)", True),
        ("while True:\n    def later():\n        sleep.sleep(1)", False),
        ("await asyncio.sleep(1)", False),
    ],
)
def test_the_search_finds_loops(code: str, expected: bool) -> None:
    tree = ast.parse(code)
    assert any(isinstance(node, ast.While) and _rests(node) for node in ast.walk(tree)) is expected
