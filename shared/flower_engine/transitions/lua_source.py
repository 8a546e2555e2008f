"""Lua files, and the text of a transition with what it needs of them.

A helper (``lua/lib/NAME.lua``) and a transition (``lua/FOLDER/NAME.lua``) name the helpers that they need in
lines ``-- needs: flows, lanes``. What a helper defines at its outermost level is called as nothing else is:

- functions, from ``local function NAME(`` to an ``end`` in the first column, and variables of a line without
  a ``call``, ``local NAME, ... = VALUE``: a transition gets those that it uses;
- constants, ``local NAME = 'text'`` in upper case, and functions of one line, ``local function NAME(a) return
  VALUE end``: they are written into each place that uses them; in Lua nothing else would cost nothing;
- any other statement, which every transition gets that needs the helper.

A line ``-- layer: 1`` or ``2`` puts a helper further out than others. Each function of a script is made anew
with each call, and Lua finds a variable that it shares with the function around it by walking past all the
younger ones that are shared, but one of a function further out at once. So each layer is a function around
the next, and the transition itself is in one of its own, inside all of them. (No function may share more than
60 variables with those around it, or have more than 200.)

A line ``-- the rest is made from here on`` in a transition divides it: what stands above it comes right
behind the helpers of layer 1, which are all that it may use. Where it returns, nothing else is made.

A line ``-- rarely used`` says of a helper that plain flows do without it: its functions are made by the first
call of one of them, and not by each call of a script.
"""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import NamedTuple

_LUA = files("flower_engine.transitions") / "lua"
_OUTERMOST, _INNERMOST, _OWN = "1", "3", "4"
_NEEDS = re.compile(r"^-- needs: (.+)$", re.MULTILINE)
_LAYER = re.compile(r"^-- layer: ([12])$", re.MULTILINE)
_RARE = re.compile(r"^-- rarely used$", re.MULTILINE)
_THE_REST = re.compile(r"^-- the rest is made from here on\n", re.MULTILINE)
_ARGUMENTS = re.compile(r"^local (.+) = unpack\(ARGV, 1, \d+\)$", re.MULTILINE)
_CONSTANT = re.compile(r"^local ([A-Z][A-Z0-9_]*) = (.+?)(?: --.*)?\n", re.MULTILINE)
_ONE_LINE = re.compile(r"^local function (\w+)\((.*)\) return (.+) end\n", re.MULTILINE)
_FUNCTION = r"^local function (\w+)\(.*\n(?:(?!end\n).*\n)*end\n"
_VARIABLES = r"^local (\w+(?:, \w+)*) = (?!.*\bcall\().*[\w)}'\"]\n"
_STRING = r"'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\""
_UNLESS_USED = re.compile(f"{_VARIABLES}|{_FUNCTION}", re.MULTILINE)
_BLANK_LINES = re.compile(r"\n\s*\n")
_STRING_OR_NAME = re.compile(rf"{_STRING}|(?<![.\w])([A-Za-z_]\w*)")
_STRING_OR_NAME_USED = re.compile(rf"{_STRING}|(?<![.\w])([A-Za-z_]\w*)\b(?! = )")
_INLINABLE = re.compile(rf"{_STRING}|[ ]*--[^\n]*|(?<![.\w])([A-Z][A-Z0-9_]*\b|\w+(?=\())")
_STRING_OR_MARK = re.compile(rf"{_STRING}|[(),{{}}]")
_ATOM = re.compile(rf"[\w.]+|{_STRING}")


class Inlined(NamedTuple):
    """What is written into its places; ``parameters`` is None for a constant."""

    parameters: tuple[str, ...] | None
    expression: str


_Part = tuple[tuple[str, ...], str]


class Header(NamedTuple):
    """The helpers that a file needs, its layer, and whether its functions are made when one is used."""

    needs: tuple[str, ...]
    layer: str
    is_rare: bool = False


class LuaFile(NamedTuple):
    """A file without its comments, with what is inlined written out.

    ``parts``: of a helper what a transition gets if it uses one of the names; without names, in any case. Of
    a transition its text, in two parts where it is divided. ``inlined`` is what the file itself defines.
    """

    shebang: str
    parts: tuple[_Part, ...]
    inlined: Mapping[str, Inlined]


def compose(name: str, constants: Mapping[str, str] = MappingProxyType({})) -> str:
    """The text of a transition: its shebang, what it uses of the helpers, and its body.

    ``constants`` gives some of those of the helpers other values, for tests in small.

    Raises:
        FileNotFoundError: it, or a helper that it needs, is not there.
        ValueError: helpers need each other in a circle.
    """
    values = frozenset(constants.items())
    script = read_lua(name, values)
    layers = dict[str, dict[str, tuple[_Part, ...]]]()
    for helper in closure(read_header(name).needs):
        layers.setdefault(read_header(helper).layer, {})[helper] = read_lua(helper, values).parts
    *early, rest = script.parts
    if early:
        layers[_OUTERMOST][name] = tuple(early)
    own = _OWN if _INNERMOST in layers else max(layers, default=_INNERMOST)
    layers.setdefault(own, {})[name] = (rest,)
    used = _used([part for layer in layers.values() for parts in layer.values() for part in parts])
    rare = dict[str, str]()
    functions = list[str]()
    for layer in layers.values():
        texts = list[str]()
        for file, parts in layer.items():
            wanted = [part for part in parts if part in used]
            texts += (
                _made_when_used(file, wanted, rare)
                if read_header(file).is_rare
                else (_with_rare(part[1], rare) for part in wanted)
            )
        functions.append("".join(texts))
    return f"{script.shebang}\n" + "return (function()\n".join(functions) + "end)()\n" * (len(functions) - 1)


def _made_when_used(name: str, parts: Iterable[_Part], rare: dict[str, str]) -> list[str]:
    """A helper whose functions are made by the first call of one of them; ``rare`` knows them then."""
    outside = [_with_rare(part[1], rare) for part in parts if not part[1].startswith("local function")]
    inside = [part for part in parts if part[1].startswith("local function")]
    if not inside:
        return outside
    made = f"rare_{name.rpartition('/')[2]}"
    names = [part[0][0] for part in inside]
    texts = "".join(_with_rare(part[1], rare) for part in inside)
    rare.update((each, f"{made}().{each}") for each in names)
    table = ", ".join(f"{each} = {each}" for each in names)
    return [
        *outside,
        f"local made_{made}\nlocal function {made}()\nif made_{made} then\nreturn made_{made}\nend\n{texts}"
        f"made_{made} = {{ {table} }}\nreturn made_{made}\nend\n",
    ]


def _with_rare(text: str, rare: Mapping[str, str]) -> str:
    if rare.keys().isdisjoint(_names(text)):
        return text
    return _STRING_OR_NAME_USED.sub(lambda name: rare.get(name[1] or "", name[0]), text)


def read_files(name: str) -> str:
    """Reads a transition and the helpers that it needs, once and for all; returns its own text.

    Raises:
        FileNotFoundError: it, or a helper that it needs, is not there.
        ValueError: helpers need each other in a circle.
    """
    closure(read_header(name).needs)
    return _text(name)


def argument_names(text: str) -> tuple[str, ...]:
    """The arguments of a transition that each call has once, as its first line names them."""
    line = _ARGUMENTS.search(text)
    return tuple(line[1].split(", ")) if line else ()


@cache
def closure(needs: tuple[str, ...]) -> tuple[str, ...]:
    """These helpers and all that they need, each behind what it needs, those of outer layers first.

    Raises:
        ValueError: helpers need each other in a circle.
    """
    ordered = list[str]()

    def add(helper: str, above: tuple[str, ...]) -> None:
        if helper in above:
            raise ValueError(f"Lua helpers need each other in a circle: {' -> '.join((*above, helper))}")
        for need in read_header(helper).needs:
            if need not in ordered:
                add(need, (*above, helper))
        ordered.append(helper)

    for helper in needs:
        if helper not in ordered:
            add(helper, ())
    return tuple(sorted(ordered, key=lambda helper: read_header(helper).layer))


@cache
def read_header(name: str) -> Header:
    """What the file says of itself."""
    text = _text(name)
    helpers = sorted(helper for line in _NEEDS.findall(text) for helper in line.split(", "))
    layer = _LAYER.search(text)
    return Header(
        tuple(f"lib/{helper}" for helper in helpers),
        layer[1] if layer else _INNERMOST,
        bool(_RARE.search(text)),
    )


@cache
def read_lua(name: str, constants: frozenset[tuple[str, str]] = frozenset()) -> LuaFile:
    """A helper or a transition; ``constants`` have other values than they are given there."""
    text = _text(name)
    shebang = text.partition("\n")[0] if text.startswith("#!") else ""
    text = text.removeprefix(shebang)
    known = dict[str, Inlined]()
    for helper in closure(read_header(name).needs):
        known |= read_lua(helper, constants).inlined
    inlined = dict[str, Inlined]()
    if name.startswith("lib/"):
        for constant in _CONSTANT.finditer(text):
            value = dict(constants).get(constant[1], constant[2])
            inlined[constant[1]] = Inlined(None, expand(value, known | inlined))
        for function in _ONE_LINE.finditer(text):
            parameters = tuple(re.findall(r"\w+", function[2]))
            inlined[function[1]] = Inlined(parameters, expand(function[3], known | inlined))
        text = _CONSTANT.sub("", _ONE_LINE.sub("", text))
    texts = [
        _BLANK_LINES.sub("\n", expand(part, known | inlined)).lstrip("\n") for part in _THE_REST.split(text)
    ]
    parts = _parts(texts[0]) if name.startswith("lib/") else (((), part) for part in texts)
    return LuaFile(shebang, tuple(parts), inlined)


def expand(text: str, inlined: Mapping[str, Inlined]) -> str:
    """The text with what is inlined written out, and without comments."""
    found, copied, at = list[str](), 0, 0
    while match := _INLINABLE.search(text, at):
        at = match.end()
        name = match[1]
        if name not in inlined and (name or match[0][0] in "'\""):
            continue
        found.append(text[copied : match.start()])
        copied = at
        if not name:
            continue
        parameters, expression = inlined[name]
        if parameters is not None:
            arguments, at = _arguments(text, at)
            given = zip(parameters, (_atom(expand(each, inlined)) for each in arguments), strict=True)
            expression = _with_arguments(expression, dict(given))
        found.append(_atom(expression))
        copied = at
    return "".join((*found, text[copied:])) if found else text


def _arguments(text: str, at: int) -> tuple[list[str], int]:
    """The arguments of a call whose "(" is at this place, and where it ends."""
    depth, first, arguments = 0, at + 1, list[str]()
    for mark in _STRING_OR_MARK.finditer(text, at):
        if mark[0] in "({":
            depth += 1
        elif mark[0] in ")}":
            depth -= 1
        if (depth == 1 and mark[0] == ",") or depth == 0:
            arguments.append(text[first : mark.start()].strip())
            first = mark.end()
        if depth == 0:
            return [argument for argument in arguments if argument], first
    raise ValueError(f"a call without its end: {text[at : at + 80]}")


def _with_arguments(expression: str, given: Mapping[str, str]) -> str:
    return _STRING_OR_NAME.sub(lambda name: given.get(name[1] or "", name[0]), expression)


def _atom(expression: str) -> str:
    return expression if _ATOM.fullmatch(expression) else f"({expression})"


def _parts(text: str) -> Iterable[_Part]:
    at = 0
    for part in _UNLESS_USED.finditer(text):
        if part.start() > at:
            yield (), text[at : part.start()]
        yield tuple((part[1] or part[2]).split(", ")), part[0]
        at = part.end()
    if at < len(text):
        yield (), text[at:]


@cache
def _names(text: str) -> frozenset[str]:
    return frozenset(_STRING_OR_NAME.findall(text))


def _used(parts: Iterable[_Part]) -> set[_Part]:
    """The parts that are wanted in any case, and those that they use, directly or not."""
    owners = {name: part for part in parts for name in part[0]}
    used = set[_Part]()
    found = {part for part in parts if not part[0]}
    while found:
        used |= found
        found = {owners[name] for part in found for name in _names(part[1]) if name in owners} - used
    return used


@cache
def _text(name: str) -> str:
    return (_LUA / f"{name}.lua").read_text()
