"""Lua transitions, run by content hash, so that two versions of a service may run side by side."""

import hashlib
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

from redis import Redis
from redis.exceptions import NoScriptError

from flower_engine.log.client import AsyncRedis, queue_command, send, send_blocking
from flower_engine.log.written_partitions import note_written
from flower_engine.tallies import CALL_SECONDS, Tally, stopwatch
from flower_engine.transitions.lua_source import argument_names, compose, read_files

Arg = str | bytes | int


class Timing:
    """How long transitions take, as this process sees them, by their names; where somebody wants to know."""

    by_script: "dict[str, Tally] | None" = None

    @classmethod
    def begin(cls) -> "dict[str, Tally]":
        """From now on they are timed."""
        if cls.by_script is None:
            cls.by_script = {}
        return cls.by_script

    @classmethod
    def note(cls, script: str, began: float) -> None:
        """A call of this script, which began at this ``stopwatch``, was answered."""
        if cls.by_script is not None:
            tally = cls.by_script.get(script)
            if tally is None:
                tally = cls.by_script.setdefault(script, Tally(CALL_SECONDS))
            tally.add(stopwatch() - began)


class Script:
    """One transition, by its folder and name below ``lua/``, such as ``watcher/lapse``.

    It is sent as EVALSHA with the partition's ``meta`` as its one key. redis-py may send it again after a
    lost reply; every transition is safe to run twice.
    """

    def __init__(self, name: str, **constants: str) -> None:
        """``constants`` of the helpers have other values, see :func:`compose`."""
        self.name = name
        self._constants = constants
        # Now, not at the first call: by then the files may be those of another version.
        self.names = argument_names(read_files(name))

    @cached_property
    def text(self) -> bytes:
        """What Redis gets; put together when it is first sent, as a process sends but some of all scripts."""
        return compose(self.name, self._constants).encode()

    @cached_property
    def sha(self) -> str:
        """The name that Redis knows it by."""
        return hashlib.sha1(self.text, usedforsecurity=False).hexdigest()

    def args(self, rest: Iterable[Arg] = (), /, **named: Arg) -> list[Arg]:
        """The arguments, named and in order as the first line of the transition names them, and the rest.

        Raises:
            TypeError: they are others; ``tests/unit/test_lua_arguments.py`` compares them before that.
        """
        if tuple(named) != self.names:
            raise TypeError(f"lua/{self.name}.lua takes {self.names}, not {tuple(named)}")
        return [*named.values(), *rest]

    async def run(self, client: AsyncRedis, meta: str, args: Sequence[Arg]) -> Any:
        """The script's raw reply (bytes, ints and lists)."""
        began = stopwatch()
        note_written(meta)
        try:
            reply = await send(client, "EVALSHA", self.sha, 1, meta, *args)
        except NoScriptError:  # a fresh or restarted server
            reply = await send(client, "EVAL", self.text, 1, meta, *args)
        Timing.note(self.name, began)
        return reply

    async def run_then(
        self, client: AsyncRedis, meta: str, args: Sequence[Arg], commands: Sequence[Sequence[str | int]]
    ) -> list[Any]:
        """The script's raw reply, and those to commands sent right behind it on the same connection (an error
        as a value), in one round trip."""
        began = stopwatch()
        note_written(meta)
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
        Timing.note(self.name, began)
        return replies

    def run_blocking(self, client: Redis, meta: str, args: Sequence[Arg]) -> Any:
        """The same from a thread that has no event loop."""
        began = stopwatch()
        try:
            reply = send_blocking(client, "EVALSHA", self.sha, 1, meta, *args)
        except NoScriptError:
            reply = send_blocking(client, "EVAL", self.text, 1, meta, *args)
        Timing.note(self.name, began)
        return reply
