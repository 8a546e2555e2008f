"""The calls of the HTTP API as a page, from the OpenAPI document that the API serves."""

from collections.abc import Iterator, Mapping
from typing import Any, cast

from flower_api.app import create_app

_INTRODUCTION = """# HTTP calls

Made from the description that every engine serves at `/openapi.json` (and shows at `/docs`).
[The API](../api.md) says what is common to the calls: tokens, errors, repeated requests, times.
"""


def http_page() -> str:
    """Every call by its path, then every schema that they name."""
    return _page(create_app(cast(Any, object())).openapi())  # a description needs no stores


def _page(document: Mapping[str, Any]) -> str:
    parts = [_INTRODUCTION]
    for path, calls in document["paths"].items():
        for method, call in calls.items():
            parts.append("\n".join(_call(f"{method.upper()} {path}", call)))
    parts.append("## What is sent and answered\n")
    for name, schema in sorted(document["components"]["schemas"].items()):
        parts.append("\n".join(_schema(name, schema)))
    return "\n".join(parts)


def _call(name: str, call: Mapping[str, Any]) -> Iterator[str]:
    yield f"## {name}\n"
    yield f"{_lines(call.get('description') or call.get('summary', ''))}\n"
    given = [*call.get("parameters", ())]
    if given:
        yield "| parameter | in | type | what it is |\n|---|---|---|---|"
        for one in given:
            needed = " (needed)" if one.get("required") else ""
            said = _cell(one.get("description", one["schema"].get("description", "")))
            yield f"| `{one['name']}`{needed} | {one['in']} | {type_of(one['schema'])} | {said} |"
        yield ""
    for kind, content in call.get("requestBody", {}).get("content", {}).items():
        yield f"Body (`{kind}`): {type_of(content.get('schema', {}))}\n"
    yield "| status | answer |\n|---|---|"
    for status, answer in sorted(call.get("responses", {}).items()):
        types = {type_of(content.get("schema", {})) for content in answer.get("content", {}).values()}
        told = ", ".join([_cell(answer.get("description", "")), *sorted(types - {""})])
        yield f"| {status} | {told} |"
    yield ""


def _schema(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield f"### {name}\n"
    if schema.get("description"):
        yield f"{_lines(schema['description'])}\n"
    fields = schema.get("properties", {})
    if not fields:
        yield f"{type_of(schema)}\n"
        return
    needed = schema.get("required", ())
    yield "| field | type | what it is |\n|---|---|---|"
    for field, of in fields.items():
        mark = " (needed)" if field in needed else ""
        yield f"| `{field}`{mark} | {type_of(of)} | {_cell(of.get('description', ''))} |"
    yield ""


def type_of(schema: Mapping[str, Any] | bool) -> str:
    """The type that a schema describes, in words; what it refers to is a link."""
    if isinstance(schema, bool):
        return "any JSON"
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    for choice in ("anyOf", "oneOf"):
        if choice in schema:
            return " or ".join(dict.fromkeys(type_of(one) for one in schema[choice]))
    if "enum" in schema:
        return ", ".join(f"`{one}`" for one in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    kind = schema.get("type", "any JSON")
    if isinstance(kind, list):
        return " or ".join(cast("list[str]", kind))
    if kind == "array":
        return f"list of {type_of(schema.get('items', {}))}"
    return str(schema.get("format") or kind)


def _lines(text: str) -> str:
    return text.strip().replace("``", "`")


def _cell(text: str) -> str:
    return " ".join(_lines(text).split()).replace("|", "\\|")
