"""The OpenAPI description: FastAPI's, with the replies that msgspec encodes and the problems added."""

from typing import Any

import msgspec
from fastapi import FastAPI
from starlette.responses import Response

from flower_api.problems import MEDIA_TYPE, Problem

_REFS = "#/components/schemas/{name}"
_components: dict[str, Any] = {}
_schemas: dict[Any, dict[str, Any]] = {}
_encode = msgspec.json.Encoder().encode

_MEANINGS = {
    400: "the body is not JSON",
    403: "whoever asks may not do this; `detail` says who may",
    404: "there is no such thing",
    409: "it does not fit how things stand; `detail` says why and what to do",
    410: "the flow has ended",
    413: "the body is too large",
    415: "the body is not announced as JSON",
    422: "the request is understood but wrong; `problems` names everything found",
    429: "too much of it is there already, or Postgres is too far behind; `type` says which",
    503: "a store cannot be used now; `store` says which",
}

Responses = dict[int | str, dict[str, Any]]


def reply(view: Any, status: int = 200) -> Response:
    """A reply of JSON."""
    return Response(_encode(view), status, media_type="application/json")


def replies(described: dict[int, tuple[Any, str]], *, problems: tuple[int, ...]) -> Responses:
    """What a route may answer, for the description: a type and a sentence by status, and problems."""
    responses: Responses = {
        status: {"description": f"{_MEANINGS[status]}", "content": {MEDIA_TYPE: {"schema": _ref("Problem")}}}
        for status in problems
    }
    for status, (view, sentence) in described.items():
        responses[status] = {
            "description": sentence,
            "content": {"application/json": {"schema": _schema(view)}},
        }
    return responses


def describe(app: FastAPI, *, secured: bool) -> None:
    """Makes the app's description hold the schemas that :func:`replies` refers to, and the use of tokens."""
    original = app.openapi

    def openapi() -> dict[str, Any]:
        _make_schemas()
        document = original()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        for name in ("HTTPValidationError", "ValidationError"):  # FastAPI's own, which are never sent
            schemas.pop(name, None)
        problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= {**_components, **problem.pop("$defs"), "Problem": problem}
        if secured:
            document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
            document["security"] = [{"token": []}]
        return document

    app.openapi = openapi


def _schema(view: Any) -> dict[str, Any]:
    """The schema of a type, however often it is described. It is made when somebody asks for the description,
    and nobody may: until then it is empty."""
    return _schemas.setdefault(view, {})


def _make_schemas() -> None:
    for view, schema in _schemas.items():
        if not schema:
            (made,), components = msgspec.json.schema_components([view], ref_template=_REFS)
            schema.update(made)
            _components.update(components)


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": _REFS.format(name=name)}
