"""Lua files name the helpers that they need; each name is one thing, and only its own file changes it."""

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from flower_engine.transitions import lua_source
from flower_engine.transitions.lua_source import Header, closure, compose, read_header

LUA = Path(__file__).parents[2] / "shared" / "flower_engine" / "transitions" / "lua"
FILES = sorted(file.relative_to(LUA).with_suffix("").as_posix() for file in LUA.glob("*/*.lua"))
HELPERS = [name for name in FILES if name.startswith("lib/")]
TRANSITIONS = [name for name in FILES if not name.startswith("lib/")]
_TEXT = r"'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\"|--[^\n]*"
_NAMES = r"\w+(?:, \w+)*"
_DECLARED = (
    rf"\bfunction ?[\w.]*\(({_NAMES})\)|\blocal (?!function)({_NAMES})"
    rf"|\bfor ({_NAMES}) (?:in|=)|\blocal function (\w+)"
)


@cache
def code(name: str) -> str:
    """A file without comments and texts."""
    return re.sub(
        _TEXT, lambda match: "" if match[0].startswith("--") else "''", (LUA / f"{name}.lua").read_text()
    )


def outermost(name: str) -> set[str]:
    """What a file defines at its outermost level."""
    found = re.findall(rf"^local (?:function (\w+)|({_NAMES}))", code(name), re.MULTILINE)
    return {each for function, names in found for each in (function, *names.split(", ")) if each}


@cache
def owners() -> dict[str, str]:
    """What helpers define -> the helper."""
    return {each: helper for helper in HELPERS for each in outermost(helper)}


def used(name: str) -> set[str]:
    return set(re.findall(r"(?<![.\w])[A-Za-z_]\w*\b(?! = [^=]*[,}])", code(name)))


def declared_inside(name: str) -> Iterator[str]:
    """Every local and parameter, at whatever level."""
    text = code(name)
    for names in re.findall(_DECLARED, text):
        yield from (each for some in names for each in some.split(", ") if each)


@pytest.mark.parametrize("name", FILES)
def test_a_file_needs_just_the_helpers_that_it_uses(name: str) -> None:
    uses = {owners()[each] for each in used(name) if each in owners()} - {name}
    assert ", ".join(sorted(each.removeprefix("lib/") for each in uses)) == ", ".join(
        need.removeprefix("lib/") for need in read_header(name).needs
    )


@pytest.mark.parametrize("name", HELPERS)
def test_no_helper_needs_itself_by_way_of_others(name: str) -> None:
    assert name in closure((name,))


def test_a_circle_is_refused_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def header(name: str) -> Header:
        return Header(("lib/b",) if name == "lib/a" else ("lib/a",), "3")

    monkeypatch.setattr(lua_source, "read_header", header)
    with pytest.raises(ValueError, match="lib/a -> lib/b -> lib/a"):
        closure(("lib/a",))


@pytest.mark.parametrize("name", HELPERS)
def test_a_helper_needs_none_of_a_layer_further_in(name: str) -> None:
    assert [
        need for need in read_header(name).needs if read_header(need).layer > read_header(name).layer
    ] == []


def divided() -> dict[str, str]:
    """Transitions of which the rest is made only if a call comes so far -> what stands above that."""
    parts = {
        name: (LUA / f"{name}.lua").read_text().split("-- the rest is made from here on\n") for name in FILES
    }
    return {name: found[0] for name, found in parts.items() if len(found) > 1}


def test_what_is_done_before_the_rest_is_made_uses_helpers_of_the_outermost_layer_alone() -> None:
    used_early = {
        (name, each)
        for name, early in divided().items()
        for each in re.findall(r"(?<![.\w])[A-Za-z_]\w*\b", re.sub(_TEXT, "", early))
        if each in owners()
    }
    assert divided()
    assert [(name, each) for name, each in used_early if read_header(owners()[each]).layer != "1"] == []


def test_where_a_transition_ends_early_nothing_of_the_rest_was_made() -> None:
    early, _, rest = compose("watcher/fire").partition("return { 'ok', next_ms and")
    assert "local function digits(" in early
    assert "local function push(" in rest
    assert early.count("return (function()") == 0


def test_what_helpers_define_has_one_name_each() -> None:
    assert sorted(each for helper in HELPERS for each in outermost(helper)) == sorted(owners())


@pytest.mark.parametrize("name", FILES)
def test_nothing_else_has_the_name_of_what_a_helper_defines(name: str) -> None:
    own = outermost(name) if name in HELPERS else set[str]()
    assert sorted(set(declared_inside(name)) & owners().keys() - own) == []


@pytest.mark.parametrize("name", FILES)
def test_a_file_changes_no_variable_of_another_one(name: str) -> None:
    assigned = re.findall(rf"^ *({_NAMES}) = .*(?<!,)$", code(name), re.MULTILINE)
    changed = {each for names in assigned for each in names.split(", ")}
    assert sorted(changed & owners().keys() - outermost(name)) == []


def test_every_helper_and_all_that_it_defines_is_used() -> None:
    counts = Counter(word for name in FILES for word in re.findall(r"\w+", code(name)))
    assert [each for each in owners() if counts[each] < 2] == []


def test_the_order_of_helpers_is_always_the_same() -> None:
    text = compose("worker/finish_and_claim")
    closure.cache_clear()
    read_header.cache_clear()
    assert compose("worker/finish_and_claim") == text
