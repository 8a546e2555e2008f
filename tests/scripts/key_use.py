"""Which keys the transitions write, as MONITOR tells: what the documents say is compared with it."""

import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Self

from redis import Redis
from redis.exceptions import ResponseError

from flower_engine.log.client import send_blocking
from flower_engine.log.keys import Keys

_LINE = re.compile(rb"^[\d.]+ \[\d+ ([^\]]*)\] (.*)$", re.DOTALL)
_WORD = re.compile(rb'"((?:[^"\\]|\\.)*)"')
_ESCAPED = re.compile(rb"\\(x[0-9a-f]{2}|.)", re.DOTALL)
_SHORT = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"a": b"\a", b"b": b"\b"}
_END = b"the recording ends here"


class KeyUse:
    """Records what scripts write while it is entered; nothing else may use the server meanwhile.

    Keys are named by their kind, the part before the first colon: ``flow``, ``lane``.
    """

    def __init__(self, client: Redis, transitions: Mapping[str, str]) -> None:
        """``transitions``: the text of each by its name."""
        self._client = client
        self._names = {send_blocking(client, "SCRIPT LOAD", text): name for name, text in transitions.items()}
        self.writers: dict[str, set[str]] = defaultdict(set)
        """Kind of key -> the transitions that write such keys."""
        self.types: dict[str, set[str]] = defaultdict(set)
        """Kind of key -> the types of the commands that write it."""
        self.fields: dict[str, set[str]] = defaultdict(set)
        """Kind of key -> the fields that are set, where it is a hash."""

    def __enter__(self) -> Self:
        pool: Any = self._client.connection_pool
        self._listener: Any = pool.get_connection()
        self._listener.send_command("MONITOR")
        self._listener.read_response()
        return self

    def __exit__(self, *_: object) -> None:
        send_blocking(self._client, "ECHO", _END)
        written: list[tuple[str, list[bytes]]] = []
        now = ""
        while True:
            found = _LINE.match(self._listener.read_response())
            assert found is not None
            words = [_plain(word) for word in _WORD.findall(found[2])]
            if words[-1] == _END:
                break
            if found[1] != b"lua":
                now = self._names.get(words[1].decode(), "") if words[0].upper() == b"EVALSHA" else ""
            elif now:
                written.append((now, words))
        self._listener.disconnect()
        self._client.connection_pool.release(self._listener)
        for transition, words in written:
            self._note(transition, words)

    def _note(self, transition: str, words: list[bytes]) -> None:
        for key, flags in self._keys_of(words):
            if b"RO" in flags:
                continue
            kind = key.decode().removeprefix(Keys(0).prefix).partition(":")[0]
            self.writers[kind].add(transition)
            self.types[kind].add(_type_of(words[0].decode().upper()))
            if words[0].upper() == b"HSET":
                self.fields[kind] |= {field.decode() for field in words[2::2]}

    def _keys_of(self, words: list[bytes]) -> list[Any]:
        """(key, what the command does with it) for each key of a command."""
        try:
            return send_blocking(self._client, "COMMAND GETKEYSANDFLAGS", *words)
        except ResponseError as error:
            assert "no key arguments" in str(error) or "wrong number of arguments" in str(error)
            return []


def _type_of(command: str) -> str:
    """The type of what a command writes; "" if it takes keys of every type."""
    if command in {"DEL", "UNLINK", "EXPIRE", "PEXPIRE", "PERSIST"}:
        return ""
    families = {"H": "hash", "Z": "sorted set", "X": "stream", "L": "list", "R": "list"}
    return "set" if command in {"SADD", "SREM"} else families.get(command[0], "string")


def _plain(word: bytes) -> bytes:
    """A word as it was before MONITOR quoted it."""

    def plain(found: re.Match[bytes]) -> bytes:
        text = found[1]
        return bytes([int(text[1:], 16)]) if len(text) == 3 else _SHORT.get(text, text)

    return _ESCAPED.sub(plain, word)
