"""Helpers that are rarely used make their functions when one is called: their names must be names of nothing
else, as calls are told apart by them."""

import re
from pathlib import Path

import flower_engine.transitions
from flower_engine.transitions.lua_source import compose, read_header

LUA = Path(flower_engine.transitions.__file__).parent / "lua"
FILES = sorted(str(file.relative_to(LUA).with_suffix("")) for file in LUA.rglob("*.lua"))
RARE = [name for name in FILES if name.startswith("lib/") and read_header(name).is_rare]
_FUNCTION = re.compile(r"^local function (\w+)", re.MULTILINE)
_DECLARED = re.compile(
    r"\blocal (?!function)([\w, ]+)|\bfunction ?\w*\(([^)]*)\)|\bfor ([\w, ]+) (?:=|in)|local function (\w+)"
)


def _text(name: str) -> str:
    return re.sub(r"--[^\n]*", "", (LUA / f"{name}.lua").read_text())


def test_no_other_file_declares_what_a_rare_helper_is_called_by() -> None:
    owners = {function: name for name in RARE for function in _FUNCTION.findall(_text(name))}
    assert owners
    wrong = {
        (name, declared)
        for name in FILES
        for found in _DECLARED.findall(_text(name))
        for declared in re.findall(r"\w+", " ".join(found))
        if owners.get(declared, name) != name
    }
    assert not wrong


def test_a_rare_helper_is_made_once_and_by_whoever_calls_it_first() -> None:
    text = compose("worker/finish_and_claim")
    assert text.count("local function rare_failed_attempt()") == 1
    assert "rare_failed_attempt().fail(" in text
    assert not re.search(r"(?<![.\w])fail\(", text.replace("local function fail(", ""))
