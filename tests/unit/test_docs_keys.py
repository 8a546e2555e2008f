"""``docs/keys.md`` names who may write a key: no fewer than have a command for it, none that cannot.

What transitions really write, ``tests/scripts/test_keys_written.py`` compares with the same rows.
"""

import re
from pathlib import Path
from string import punctuation

import pytest

from flower_engine.model.values.key_parts import escape
from flower_engine.transitions.lua_source import compose
from unit.pages import DOCS, ROOT, quoted, rows

LUA = ROOT / "shared" / "flower_engine" / "transitions" / "lua"
TEXTS = {
    file.stem: compose(f"{file.parent.name}/{file.stem}")
    for file in sorted(LUA.rglob("*.lua"))
    if file.parent.name != "lib"
}
"""Each transition as it is sent: only what it uses, the names of keys written out."""
ROWS = {re.split(r"[:`]", row["key"])[1]: row for row in rows("keys.md", "key")}
WRITERS = {kind: set(quoted(row["may be written by"])) & set(TEXTS) for kind, row in ROWS.items()}


WRITES = (
    "SET|HSET|HDEL|HINCRBY|ZADD|ZREM|ZREMRANGEBY[A-Z]+|SADD|SREM|RPUSH|LPOP|LSET|LREM|LTRIM|XADD|XDEL|XTRIM"
    "|XACK|XCLAIM|DEL|UNLINK|EXPIRE|PEXPIRE"
)


def _names(kind: str) -> str:
    return r"KEYS\[1\]" if kind == "meta" else rf"prefix \.\. '{kind}\b"


@pytest.mark.parametrize("kind", [kind for kind in ROWS if WRITERS[kind]])
def test_whoever_may_write_a_key_names_it(kind: str) -> None:
    cannot = {name for name in WRITERS[kind] if not re.search(_names(kind), TEXTS[name])}
    assert cannot == set()


@pytest.mark.parametrize("kind", ROWS)
def test_whoever_has_a_command_that_writes_a_key_may_write_it(kind: str) -> None:
    command = rf"\bcall\('(?:{WRITES})', \(?{_names(kind)}"
    writing = {name for name, text in TEXTS.items() if re.search(command, text)}
    assert writing - WRITERS[kind] == set()


@pytest.mark.parametrize("character", [*punctuation, " ", "a", "1", "花"])
def test_the_page_says_which_characters_of_a_name_are_encoded(character: str) -> None:
    (sentence,) = re.findall(r"^Names of queues.*?encoded", Path(DOCS / "keys.md").read_text(), re.S | re.M)
    named = set(quoted(sentence)) | {" "}
    assert (escape(character) != character) == (character in named)
