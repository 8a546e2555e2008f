"""A console on Redis for machines without redis-cli: one command, or one a line."""

import importlib
import shlex
import sys
from collections.abc import Sequence
from contextlib import closing
from typing import Any, cast

from redis import Redis
from redis.exceptions import RedisError

from flower_cli.console import fail, out

EXIT_ERROR = 1
_PROMPT = "redis> "


def run(url: str, words: Sequence[str]) -> int:
    """Sends the command that ``words`` are, or those that standard input has; the exit code."""
    from flower_engine.log.client import connect_blocking

    with closing(connect_blocking(url)) as client:
        if words:
            return _send(client, words)
        is_terminal = sys.stdin.isatty()
        if is_terminal:
            importlib.import_module("readline")  # gives input() a history and arrow keys
        return _loop(client, is_terminal)


def lines_of(reply: Any) -> list[str]:
    """A reply as redis-cli shows it on a terminal."""
    if reply is None:
        return ["(nil)"]
    if isinstance(reply, int):
        return [f"(integer) {reply}"]
    if isinstance(reply, bytes):
        return [_quoted(reply)]
    if isinstance(reply, list):
        return _numbered(cast(list[Any], reply)) or ["(empty array)"]
    return [str(reply)]


def _numbered(entries: list[Any]) -> list[str]:
    width = len(str(len(entries)))
    lines: list[str] = []
    for number, entry in enumerate(entries, start=1):
        head = f"{number:>{width}}) "
        first, *rest = lines_of(entry)
        lines += [head + first, *(" " * len(head) + line for line in rest)]
    return lines


def _quoted(text: bytes) -> str:
    shown = text.decode(errors="backslashreplace")
    return (
        '"' + shown.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r") + '"'
    )


def _loop(client: Redis, is_terminal: bool) -> int:
    code = 0
    while True:
        try:
            line = input(_PROMPT if is_terminal else "")
        except EOFError:
            return code
        try:
            words = shlex.split(line)
        except ValueError as error:
            fail(f"{line!r} is no command: {error}")
            code = EXIT_ERROR
            continue
        if words and words[0].lower() in ("exit", "quit"):
            return code
        if words:
            code = _send(client, words)


def _send(client: Redis, words: Sequence[str]) -> int:
    from flower_engine.log.client import any_server

    server = any_server(client, words)
    server.response_callbacks.clear()  # replies are shown as they come, and not as redis-py reads them
    try:
        reply = server.execute_command(*words)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    except RedisError as error:
        out.print(f"(error) {error}", markup=False)
        return EXIT_ERROR
    if isinstance(reply, bytes) and not sys.stdout.isatty():
        sys.stdout.buffer.write(reply + b"\n")  # for programs: the value itself
        sys.stdout.flush()
    else:
        out.print("\n".join(lines_of(reply)), markup=False)
    return 0
