"""YAML as JSON has it: what is not quoted is a text, unless it is a number, true, false or null (YAML 1.2).

So ``day: 2026-01-05`` is a text and no date, ``country: no`` is no boolean, and ``at: 1:30`` no number.
"""

import math
import re
from typing import Any, cast

import yaml

_MOST_VALUES = 1_000_000  # an alias repeats what it names: a few lines can mean billions
_MAX_DEPTH = 200


class YamlError(ValueError):
    """It cannot be read; the message says where."""


class _Loader(yaml.SafeLoader):
    """Without the words of YAML 1.1, and with each key once."""

    yaml_implicit_resolvers: Any = {}  # noqa: RUF012 # it is not the one that SafeLoader has

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                continue
            if key.tag != "tag:yaml.org,2002:str":
                raise yaml.constructor.ConstructorError(
                    None, None, "a key is no text; write it in quotes", key.start_mark
                )
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} stands twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _integer(loader: _Loader, node: Any) -> int:
    text = str(loader.construct_scalar(node))
    sign, digits = (text[0], text[1:]) if text[0] in "+-" else ("", text)
    base = {"0x": 16, "0o": 8}.get(digits[:2], 10)
    try:
        return int(sign + (digits[2:] if base != 10 else digits), base)
    except ValueError as error:  # Python reads so many digits only
        raise yaml.constructor.ConstructorError(None, None, str(error), node.start_mark) from None


_SCALARS = (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+|0x[0-9a-fA-F]+|0o[0-7]+", "-+0123456789"),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", "-+0123456789."),
    ("float", r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", "-+."),
    ("null", r"~|null|Null|NULL|", "~nN\0"),
    ("merge", r"<<", "<"),
)
_add_resolver = cast("Any", _Loader).add_implicit_resolver
for _kind, _pattern, _first in _SCALARS:
    _letters = ["" if letter == "\0" else letter for letter in _first]
    _add_resolver(f"tag:yaml.org,2002:{_kind}", re.compile(f"(?:{_pattern})$"), _letters)
_Loader.add_constructor("tag:yaml.org,2002:int", _integer)


def documents_of(raw: bytes) -> list[Any]:
    """The documents of a file, each as JSON would have it; empty ones are left out.

    Raises:
        YamlError: it is not YAML, or holds what JSON has no form for.
    """
    try:
        found = [one for one in yaml.load_all(raw, _Loader) if one is not None]  # a safe loader
    except yaml.YAMLError as error:
        raise YamlError(_in_words(error)) from None
    except (RecursionError, ValueError) as error:
        raise YamlError(str(error)) from None
    _check(found)
    return found


def _check(documents: list[Any]) -> None:
    level = documents
    for _ in range(_MAX_DEPTH):
        below: list[Any] = []
        for one in level:
            if isinstance(one, dict):
                below += cast("dict[str, Any]", one).values()
            elif isinstance(one, list):
                below += cast("list[Any]", one)
            elif isinstance(one, float) and not math.isfinite(one):
                raise YamlError(f"{one} is no number that JSON has")
            elif not isinstance(one, str | int | float | None):
                raise YamlError(f"{type(one).__name__} is nothing that JSON has")
            if len(below) > _MOST_VALUES:
                raise YamlError(f"with its aliases it has more than {_MOST_VALUES} values")
        if not below:
            return
        level = below
    raise YamlError(f"it is nested deeper than {_MAX_DEPTH} levels")


def _in_words(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}" if mark else problem


def yaml_of(documents: list[Any]) -> str:
    """The values as documents of YAML, which :func:`documents_of` reads as they are."""
    return str(yaml.dump_all(documents, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110))


class _Dumper(yaml.SafeDumper):
    """Text that would be read as something else is written in quotes; nothing is said by an alias."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> Any:
    """What readers would take for the end of a line, or for a space, is escaped."""
    style = None if text.replace("\n", "").isprintable() else '"'
    return cast("Any", dumper).represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)
_Dumper.yaml_implicit_resolvers = {
    first: [*yaml.SafeDumper.yaml_implicit_resolvers.get(first, ()), *resolvers]
    for first, resolvers in {
        **yaml.SafeDumper.yaml_implicit_resolvers,
        **_Loader.yaml_implicit_resolvers,
    }.items()
}
