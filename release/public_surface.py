"""What people depend on, as lines that can be compared: names and signatures of Python, calls and fields of
HTTP, commands and their flags (docs/versioning.md). ````release/public/`` has those of the last release."""

import importlib
import inspect
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast, get_args

import msgspec
from typer.main import get_command

from flower_api.app import create_app
from flower_cli.main import make_app
from flower_engine.model.events.events import AnyEvent
from flower_engine.runtime.settings import Settings

PUBLIC = Path(__file__).with_name("public")
MODULES = ("flower_engine", "flower_engine.client", "flower_engine.testing", "flower_engine.errors")


class _Given:
    def __repr__(self) -> str:
        return "..."


_GIVEN = _Given()


def python_lines() -> list[str]:
    """A line for each public name of Python, and for each public attribute of a public class."""
    return sorted({line for module in MODULES for line in _lines_of_module(module)})


def http_lines(openapi: Mapping[str, Any]) -> list[str]:
    """A line for each call, each parameter of one, and each field of what is sent and answered."""
    lines: list[str] = []
    for path, calls in openapi["paths"].items():
        for method, call in calls.items():
            name = f"{method.upper()} {path}"
            lines.append(name)
            lines += (f"{name} ?{one['name']}" for one in call.get("parameters", ()))
            lines += (f"{name} answers {status}" for status in call.get("responses", ()))
    for name, schema in openapi.get("components", {}).get("schemas", {}).items():
        needed = schema.get("required", ())
        lines += (
            f"{name}.{field}{'' if field in needed else '?'}: {_type_of(of)}"
            for field, of in schema.get("properties", {}).items()
        )
    return sorted(set(lines))


def command_lines() -> list[str]:
    """A line for each command, and for each flag and argument of one."""
    return sorted(_lines_of_command("flower", get_command(make_app())))


def event_lines() -> list[str]:
    """A line for each type of event, and for each of its fields."""
    lines: list[str] = []
    for event in get_args(AnyEvent):
        info = msgspec.inspect.type_info(event)
        assert isinstance(info, msgspec.inspect.StructType), event
        lines += [str(info.tag), *(f"{info.tag} {field.encode_name}" for field in info.fields)]
    return sorted(lines)


def setting_lines() -> list[str]:
    """A line for each setting with its default."""
    lines = [f"FLOWER_{name.upper()} = {field.default!r}" for name, field in Settings.model_fields.items()]
    return sorted(lines)


def surface() -> dict[str, list[str]]:
    """File in ``release/public/`` -> its lines, as they are now."""
    openapi = create_app(cast(Any, object())).openapi()  # a description needs no stores
    return {
        "python": python_lines(),
        "http": http_lines(openapi),
        "commands": command_lines(),
        "events": event_lines(),
        "settings": setting_lines(),
    }


def released_surface() -> dict[str, list[str]]:
    """The same of the last release; {} where there is none yet."""
    return {file.stem: file.read_text().splitlines() for file in sorted(PUBLIC.glob("*.txt"))}


def write(lines: Mapping[str, list[str]]) -> None:
    """This is that of the release that is being made."""
    PUBLIC.mkdir(exist_ok=True)
    for name, some in lines.items():
        (PUBLIC / f"{name}.txt").write_text("".join(f"{line}\n" for line in some))


def unsaid(before: Mapping[str, list[str]], now: Mapping[str, list[str]], changes: str) -> list[str]:
    """What is different and of which the changelog (what stands under Unreleased) says nothing: anything,
    where nothing stands there; what went away or became another, where neither Changed nor Removed does."""
    if not before:
        return []
    gone = [f"- {line}" for name in before for line in sorted({*before[name]} - {*now.get(name, ())})]
    new = [f"+ {line}" for name in now for line in sorted({*now[name]} - {*before.get(name, ())})]
    if not changes:
        return gone + new
    return [] if re.search(r"^### (Changed|Removed)$", changes, re.MULTILINE) else gone


def _lines_of_module(module: str) -> Iterator[str]:
    loaded = importlib.import_module(module)
    for name in getattr(loaded, "__all__", None) or [name for name in vars(loaded) if name[0].isupper()]:
        of = getattr(loaded, name)
        if inspect.isclass(of):
            yield f"{module}.{name}({', '.join(base.__name__ for base in of.__bases__)}){_signature(of)}"
            for attribute, value in sorted(vars(of).items()):
                if not attribute.startswith("_"):
                    yield f"{module}.{name}.{attribute}{_signature(value)}"
        else:
            yield f"{module}.{name}{_signature(of)}"


def _signature(of: object) -> str:
    called: Any = getattr(of, "__func__", of)  # of a static method, and of one of the class
    try:
        signature = inspect.signature(called)
    except (TypeError, ValueError):
        return ""
    # Without types: how they are written depends on the version of Python.
    bare = [
        one.replace(annotation=one.empty, default=one.empty if one.default is one.empty else _GIVEN)
        for one in signature.parameters.values()
    ]
    return str(signature.replace(parameters=bare, return_annotation=signature.empty))


def _type_of(schema: Mapping[str, Any] | bool) -> str:
    if isinstance(schema, bool):
        return "any"
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return " | ".join(sorted(map(_type_of, schema[several])))
    if schema.get("type") == "array":
        return f"[{_type_of(schema.get('items', {}))}]"
    return str(schema.get("type", "any"))


def _lines_of_command(name: str, command: Any) -> Iterator[str]:
    yield name
    for parameter in command.params:
        for flag in parameter.opts + parameter.secondary_opts:
            yield f"{name} {flag}" if flag.startswith("-") else f"{name} {flag.upper()}"
    for inner, one in getattr(command, "commands", {}).items():
        yield from _lines_of_command(f"{name} {inner}", one)


if __name__ == "__main__":
    write(surface())
