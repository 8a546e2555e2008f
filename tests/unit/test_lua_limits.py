"""What Lua 5.1 allows a function: 200 variables of its own, 60 that it shares with the functions around it.

Redis refuses a script that has more (``tests/scripts/test_loading.py`` has it compile each). Here they are
counted by the text of each transition as Redis gets it: of a function its parameters, its ``local`` names and
three of each loop, which Lua makes, those of all its blocks together, though not all live at once; and each
name that it, or a function inside it, takes from further out.
"""

import re

import pytest

from flower_engine.transitions.lua_source import compose
from unit.test_lua_needs import FILES, LUA, TRANSITIONS

MOST_LOCALS, SPARE_LOCALS, MOST_SHARED, MOST_COLUMNS = 200, 15, 60, 110
_TOKEN = re.compile(r"'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\"|[.:]?[A-Za-z_]\w*|\S")


class Function:
    """A function of a script: the names of its open blocks, the outermost first, and what was counted."""

    def __init__(self) -> None:
        self.blocks: list[set[str]] = [set()]
        self.locals = 0
        self.shared: set[str] = set()

    def declare(self, name: str) -> None:
        self.blocks[-1].add(name)
        self.locals += 1


class Counting:
    """Counts over all functions of a script; ``found`` has them as they end, the script itself last."""

    def __init__(self, script: str) -> None:
        self.tokens = _TOKEN.findall(script.partition("\n")[2])
        self.at = 0
        self.around = [Function()]
        self.ends: list[str] = []  # what each "end" to come closes
        self.found: list[Function] = []
        while self.at < len(self.tokens):
            token = self.next()
            getattr(self, f"on_{token}", self.on_other)(token)
        assert (len(self.around), self.ends) == (1, [])
        self.found += self.around

    def next(self) -> str:
        self.at += 1
        return self.tokens[self.at - 1]

    def open_block(self, kind: str) -> None:
        self.around[-1].blocks.append(set())
        self.ends.append(kind)

    def declare_names(self) -> None:
        self.around[-1].declare(self.next())
        while self.tokens[self.at] == ",":
            self.next()
            self.around[-1].declare(self.next())

    def on_local(self, _: str) -> None:
        if self.tokens[self.at] == "function":
            self.around[-1].declare(self.tokens[self.at + 1])
        else:
            self.declare_names()

    def on_function(self, _: str) -> None:
        while self.next() != "(":
            pass
        self.around.append(Function())
        self.ends.append("function")
        if self.tokens[self.at] != ")":
            self.declare_names()

    def on_for(self, _: str) -> None:
        self.open_block("for")
        self.around[-1].locals += 3
        self.declare_names()

    def on_do(self, _: str) -> None:
        if self.ends and self.ends[-1] == "for":
            self.ends[-1] = "do"
        else:
            self.open_block("do")

    def on_then(self, token: str) -> None:
        self.open_block(token)

    on_repeat = on_then

    def on_end(self, _: str) -> None:
        if self.ends.pop() == "function":
            self.found.append(self.around.pop())
        else:
            self.around[-1].blocks.pop()

    on_elseif = on_until = on_end

    def on_else(self, token: str) -> None:
        self.on_end(token)
        self.open_block(token)

    def on_other(self, token: str) -> None:
        for depth in range(len(self.around) - 1, -1, -1):
            if any(token in block for block in self.around[depth].blocks):
                for inner in self.around[depth + 1 :]:
                    inner.shared.add(token)
                return


@pytest.mark.parametrize("name", TRANSITIONS)
def test_no_function_has_more_variables_than_lua_allows(name: str) -> None:
    found = Counting(compose(name)).found
    assert max(function.locals for function in found) <= MOST_LOCALS - SPARE_LOCALS  # for what comes next
    assert max(len(function.shared) for function in found) <= MOST_SHARED


def test_variables_are_counted_as_lua_does() -> None:
    inner, outer, script = Counting(
        "#!lua\nlocal a, b = 1, 2\nlocal function outer(c)\n  for d, e in pairs(c) do\n    local f = a\n"
        "    each(function() return b .. c .. d .. x.a end)\n  end\nend\n"
    ).found
    assert (inner.locals, inner.shared) == (0, {"b", "c", "d"})
    assert (outer.locals, outer.shared) == (7, {"a", "b"})
    assert (script.locals, script.shared) == (3, set())


@pytest.mark.parametrize("name", FILES)
def test_no_line_is_too_long(name: str) -> None:
    lines = (LUA / f"{name}.lua").read_text().splitlines()
    assert [line for line in lines if len(line) > MOST_COLUMNS] == []
