"""Lua transitions: files composed with their includes, run by content hash.

A transition's first line is its shebang; a line ``-- include _a _b`` names the helpers that are put
between the shebang and the body. Content-hashed scripts let two versions of a service run side by side.
"""

import hashlib
import re
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from redis import Redis
from redis.exceptions import NoScriptError

from flower_engine.log.client import AsyncRedis, queue_command, send, send_blocking

Arg = str | bytes | int
_LAYERS = {
    "_common": ("local reply = (function()", "end)()\nsave_events()\nreturn reply"),
    "_boards": ("return (function()", "end)()"),
}
"""Helpers behind which a new function begins, and what stands around it. Each function of a script is made
anew with each call, and Lua finds a variable that it shares with the function around it by walking past all
the younger ones that are shared, but one of a function further out at once. (No function may use more than 60
of those.)"""
_INCLUDE = re.compile(r"^-- include (.+)$", re.MULTILINE)


class Script:
    """One transition, sent as EVALSHA with the partition's ``meta`` as its one key.

    redis-py may send it again after a lost reply; every transition is safe to run twice.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.text = _compose(name)
        self.sha = hashlib.sha1(self.text, usedforsecurity=False).hexdigest()

    async def run(self, client: AsyncRedis, meta: str, args: Sequence[Arg]) -> Any:
        """The script's raw reply (bytes, ints and lists)."""
        try:
            return await send(client, "EVALSHA", self.sha, 1, meta, *args)
        except NoScriptError:  # a fresh or restarted server
            return await send(client, "EVAL", self.text, 1, meta, *args)

    async def run_then(
        self, client: AsyncRedis, meta: str, args: Sequence[Arg], commands: Sequence[Sequence[str | int]]
    ) -> list[Any]:
        """The script's raw reply, and those to commands sent right behind it on the same connection (an error
        as a value), in one round trip."""
        for verb, script in (("EVALSHA", self.sha), ("EVAL", self.text)):
            async with client.pipeline(transaction=False) as pipeline:
                queue_command(pipeline, verb, script, 1, meta, *args)
                for command in commands:
                    queue_command(pipeline, *command)
                replies = await pipeline.execute(raise_on_error=False)
            if not isinstance(replies[0], NoScriptError):
                break
        if isinstance(replies[0], Exception):
            raise replies[0]
        return replies

    def run_blocking(self, client: Redis, meta: str, args: Sequence[Arg]) -> Any:
        """The same from a thread that has no event loop."""
        try:
            return send_blocking(client, "EVALSHA", self.sha, 1, meta, *args)
        except NoScriptError:
            return send_blocking(client, "EVAL", self.text, 1, meta, *args)


def _compose(name: str) -> bytes:
    folder = files("flower_engine.transitions") / "lua"
    shebang, _, body = (folder / f"{name}.lua").read_text().partition("\n")
    included = _INCLUDE.search(body)
    helpers = included[1].split() if included else []
    parts, ends = [shebang], list[str]()
    for helper in helpers:
        parts.append((folder / f"{helper}.lua").read_text())
        if helper in _LAYERS:
            begin, end = _LAYERS[helper]
            parts.append(begin)
            ends.insert(0, end)
    return "\n".join([*parts, body, *ends]).encode()
