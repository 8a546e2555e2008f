"""The text of a condition: what ``condition_text.py`` reads gives the same tree again."""

import json
import keyword
from typing import Any, cast

from flower_engine.model.parameters.reference_forms import KEYS
from flower_engine.model.parameters.references import holds_references

FLOW = "params"
"""The name that stands for the parameters of the flow."""
CONSTANTS: dict[str, Any] = {"null": None, "true": True, "false": False}
READING = frozenset({"$from", "$either"})

_WORDS = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "in": "in"}
_NO_NAMES = {*CONSTANTS, FLOW, *keyword.kwlist}


def text_of_condition(tree: Any) -> str:
    """The text of a right condition."""
    return _write(tree, 0)


_OR, _AND, _NOT, _COMPARED = 1, 2, 3, 4


def _write(tree: Any, within: int) -> str:
    """``within``: how strongly what stands around binds; what binds less is put into parentheses."""
    if isinstance(tree, bool):
        return str(tree)
    head, *parts = cast("list[Any]", tree)
    if head in ("and", "or"):
        strength = _AND if head == "and" else _OR
        return _enclosed(f" {head} ".join(_write(part, strength + 1) for part in parts), within > strength)
    if head == "not":
        negated: Any = parts[0]
        if isinstance(negated, list) and negated[0] == "in":
            left, right = map(text_of_value, cast("list[Any]", negated)[1:])
            return _enclosed(f"{left} not in {right}", within > _COMPARED)
        return _enclosed(f"not {_write(parts[0], _NOT)}", within > _NOT)
    if head in _WORDS:
        left, right = map(text_of_value, parts)
        return _enclosed(f"{left} {_WORDS[head]} {right}", within > _COMPARED)
    (part,) = parts
    if head == "truthy":
        alone = (
            isinstance(part, dict)
            and within <= _COMPARED
            and holds_references(part)
            and "$literal" not in part
        )
        return text_of_value(part) if alone else f"truthy({text_of_value(part)})"
    return f"{head}({_asked(part)})"


def _enclosed(text: str, is_enclosed: bool) -> str:
    return f"({text})" if is_enclosed else text


def _asked(part: Any) -> str:
    """What is_none() and some() ask for: what may lack is not said, what must be there is."""
    if isinstance(part, dict) and not READING.isdisjoint(cast("dict[str, Any]", part)):
        members = cast("dict[str, Any]", part)
        if members.get("optional") is True:
            return _written_data({key: one for key, one in members.items() if key != "optional"})
        if "default" not in members:
            return f"needed({_written_data(members)})"
    return text_of_value(part)


def text_of_value(part: Any) -> str:
    """The text of a value in a tree."""
    if isinstance(part, list):
        items = cast("list[Any]", part)
        return _written_data(items[1]) if items[0] == "list" else _write(items, _COMPARED + 1)
    return _written_data(part)


def _written_data(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_written_data, cast('list[Any]', value)))}]"
    if not isinstance(value, dict):
        return _written_constant(value)
    members = cast("dict[str, Any]", value)
    if "$literal" in members:
        held = members["$literal"]
        is_plain = isinstance(held, dict) and not KEYS.isdisjoint(cast("dict[str, Any]", held))
        return _written_plain(held) if is_plain else f"literal({_written_plain(held)})"
    if "$param" in members:
        return _step(FLOW, str(members["$param"]), may_be_number=False)
    if "$text" in members:
        values = {key: _written_data(one) for key, one in members.items() if key != "$text"}
        given = "".join(
            f", {key}={one}"
            for key, one in values.items()
            if key.isidentifier() and not keyword.iskeyword(key)
        )
        odd = ", ".join(f"{_quoted(key)}: {one}" for key, one in values.items() if keyword.iskeyword(key))
        return f"text({_quoted(members['$text'])}{given}{f', **{{{odd}}}' if odd else ''})"
    if READING.isdisjoint(members):
        return f"{{{', '.join(f'{_quoted(key)}: {_written_data(one)}' for key, one in members.items())}}}"
    return _written_reference(members)


def _written_reference(members: dict[str, Any]) -> str:
    if "$either" in members:
        text = f"either({', '.join(map(_written_data, members['$either']))})"
    else:
        producer = members["$from"]
        text = (
            producer
            if isinstance(producer, str) and producer not in _NO_NAMES
            else f"task({_written_constant(producer)})"
        )
        for token in str(members.get("path", "")).split("/")[1:]:
            text = _step(text, token.replace("~1", "/").replace("~0", "~"))
    if members.get("optional") is True:
        return f"optional({text})"
    return f"default({text}, {_written_data(members['default'])})" if "default" in members else text


def _step(text: str, name: str, *, may_be_number: bool = True) -> str:
    if name.isascii() and name.isidentifier() and not keyword.iskeyword(name):
        return f"{text}.{name}"
    if may_be_number and name.isascii() and name.isdigit() and len(name) < 16 and str(int(name)) == name:
        return f"{text}[{name}]"
    return f"{text}[{_quoted(name)}]"


def _written_plain(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_written_plain, cast('list[Any]', value)))}]"
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        return f"{{{', '.join(f'{_quoted(key)}: {_written_plain(one)}' for key, one in members.items())}}}"
    return _written_constant(value)


def _written_constant(value: Any) -> str:
    return _quoted(value) if isinstance(value, str) else repr(value)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
