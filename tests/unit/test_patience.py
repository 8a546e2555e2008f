"""Waits of tests have late ends: what is quick here takes seconds on a busy machine."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
SHORTEST_SECONDS = 30
NOT_RUN = {"typed_uses.py", "wrong_uses.py"}
"""Only their types are looked at."""
_WORDS = ("httpx.", "timeout", "wait_for", "result(")
_HTTP = {"get", "post", "put", "patch", "delete", "head", "request", "stream", "Client", "AsyncClient"}
"""What of httpx gives up after five seconds where it is told nothing."""
_TAKES_SECONDS = {"asyncio.timeout": 0, "asyncio.wait_for": 1, "result": 0}
"""Where seconds stand that have no name: of a function, or of every method that is called so."""


def _impatient(call: ast.Call) -> str:
    """What is wrong with a call; "": nothing."""
    if not isinstance(call.func, ast.Attribute):
        return ""
    of, name = call.func.value, call.func.attr
    named = {keyword.arg: keyword.value for keyword in call.keywords}
    if isinstance(of, ast.Name) and of.id == "httpx" and name in _HTTP and "timeout" not in named:
        return f"httpx.{name} without a timeout gives up after 5 s"
    place = _TAKES_SECONDS.get(ast.unparse(call.func), _TAKES_SECONDS.get(name, len(call.args)))
    for value in (named.get("timeout"), *call.args[place : place + 1]):
        seconds = value.value if isinstance(value, ast.Constant) else None
        if isinstance(seconds, int | float) and 0 < seconds < SHORTEST_SECONDS:
            return f"{ast.unparse(call.func)} waits for {seconds} s"
    return ""


def _calls(node: ast.AST) -> Iterator[ast.Call]:
    """All calls but those whose waits are to end in vain."""
    if isinstance(node, ast.With | ast.AsyncWith) and "pytest.raises" in ast.unparse(node.items[0]):
        return
    if isinstance(node, ast.Call):
        yield node
    for child in ast.iter_child_nodes(node):
        yield from _calls(child)


def _impatient_calls(text: str) -> list[tuple[int, str]]:
    return [(call.lineno, why) for call in _calls(ast.parse(text)) if (why := _impatient(call))]


def test_no_test_hopes_that_something_is_over_in_less_than_half_a_minute() -> None:
    found = [
        f"{file.relative_to(TESTS)}:{line}: {why}"
        for file in sorted(TESTS.rglob("*.py"))
        if file.name not in NOT_RUN and any(word in (text := file.read_text()) for word in _WORDS)
        for line, why in _impatient_calls(text)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("code", "is_impatient"),
    [
        ("httpx.get(url)", True),
        ("httpx.AsyncClient()", True),
        ("httpx.get(url, timeout=60)", False),
        ("process.wait(timeout=5)", True),
        ("process.wait(timeout=0)", False),
        ("with pytest.raises(TimeoutError):\n    flow.wait(timeout=0.2)", False),
        ("async def f():\n    async with asyncio.timeout(10):\n        await g", True),
        ("asyncio.wait_for(g, 10)", True),
        ("asyncio.wait_for(g, PATIENCE_SECONDS)", False),
        ("future.result(10)", True),
    ],
)
def test_what_is_impatient_is_seen(code: str, is_impatient: bool) -> None:
    assert bool(_impatient_calls(code)) is is_impatient
