"""A transition's first line names its arguments, and its Python binding gives just these, in this order."""

import ast
import re
from collections.abc import Iterator

import pytest

from flower_engine.transitions.lua_source import argument_names
from unit.test_lua_needs import HELPERS, LUA, TRANSITIONS, code

ENGINE = LUA.parents[1]
_LINE = re.compile(r"local (\w+(?:, \w+)*) = unpack\(ARGV, 1, (\d+)\)")


def first_line(name: str) -> str:
    lines = (LUA / f"{name}.lua").read_text().splitlines()
    return next(line for line in lines if not line.startswith(("#!", "--")))


def given_names() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Transition, and the names that one call of its binding gives it."""
    for file in ENGINE.rglob("*.py"):
        text = file.read_text()
        if "Script(" not in text:  # to parse every file takes a second of each collection
            continue
        tree = ast.parse(text)
        scripts = {
            node.targets[0].id: node.value.args[0].value
            for node in tree.body
            if isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and isinstance(node.value, ast.Call)
            and ast.unparse(node.value.func) == "Script"
            and isinstance(node.value.args[0], ast.Constant)
        }
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        common = next((_keywords(call) for call in calls if ast.unparse(call.func) == "script.args"), ())
        for call in calls:
            of, _, method = ast.unparse(call.func).rpartition(".")
            first = ast.unparse(call.args[0]) if call.args else ""
            if of in scripts and method == "args":
                yield str(scripts[of]), _keywords(call)
            elif first in scripts and not of:  # a function that calls `script.args` with what is common
                yield str(scripts[first]), (*common, *_keywords(call))


def _keywords(call: ast.Call) -> tuple[str, ...]:
    return tuple(keyword.arg for keyword in call.keywords if keyword.arg)


GIVEN = sorted(given_names())


@pytest.mark.parametrize("name", TRANSITIONS)
def test_the_first_line_of_a_transition_names_its_arguments(name: str) -> None:
    line = _LINE.fullmatch(first_line(name))
    assert line
    assert len(line[1].split(", ")) == int(line[2])


@pytest.mark.parametrize(("name", "given"), GIVEN, ids=[name for name, _ in GIVEN])
def test_a_binding_gives_the_arguments_that_its_transition_names(name: str, given: tuple[str, ...]) -> None:
    assert given == argument_names(first_line(name))


def test_every_transition_has_a_binding() -> None:
    assert {name for name, _ in GIVEN} == set(TRANSITIONS)


@pytest.mark.parametrize("name", HELPERS)
def test_no_helper_reads_the_arguments_of_the_call(name: str) -> None:
    assert not re.search(r"\bARGV\b", code(name))


@pytest.mark.parametrize("name", sorted({*HELPERS, *TRANSITIONS} - {"lib/keys"}))
def test_only_one_file_names_keys(name: str) -> None:
    assert not re.search(r"\b(prefix|KEYS)\b", code(name))


@pytest.mark.parametrize("name", sorted({*HELPERS, *TRANSITIONS} - {"lib/flow_fields", "lib/timers"}))
def test_statuses_fields_flags_and_timers_go_by_their_names(name: str) -> None:
    bare = "|".join(
        (
            r"(?:status|was) [=~]= '\d'",
            r"set_state\(\w+, \w+, '",
            r"'[a-z]' \.\.",
            r"_flag\(\w+, '",
            r"'[a-z]:' \.\. (?:id|flow)",
        )
    )
    assert re.findall(bare, (LUA / f"{name}.lua").read_text()) == []


@pytest.mark.parametrize("name", sorted({*HELPERS, *TRANSITIONS}))
def test_no_command_is_given_a_value_with_its_sign_turned(name: str) -> None:
    """Of a zero that is -0, which Redis 7.0 does not take for an integer."""
    assert re.findall(r"\bcall\(.*, -[^\d].*", code(name)) == []
