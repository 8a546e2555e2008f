"""Errors as the API tells them: problem details (RFC 9457)."""

import http
import json
import logging
from collections.abc import Sequence
from typing import Any

import psycopg
from fastapi import FastAPI, Request
from fastapi.exceptions import HTTPException, RequestValidationError
from pydantic import BaseModel
from redis.exceptions import RedisError
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.responses import Response
from starlette.routing import Match

from flower_api.head_requests import method_of
from flower_api.validation_faults import in_words
from flower_engine.errors import (
    DefinitionError,
    LostError,
    MovedError,
    RefusedError,
    StoreError,
    UnknownFlowError,
    UnknownWorkflowError,
)
from flower_engine.secrets import hide_secrets
from flower_engine.store_faults import Kind, fault_of

_log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
_MOST_QUOTED = 100
_RETRY = {"Retry-After": "2"}  # seconds; most faults of a store are over by then
_RETRY_LOST = {"Retry-After": "30"}  # somebody has to recover Redis


class Fault(BaseModel):
    """One thing that is wrong. ``pointer`` leads to it in the body; ``parameter`` is its name elsewhere."""

    detail: str
    pointer: str | None = None
    parameter: str | None = None


class Problem(BaseModel):
    """What went wrong (RFC 9457). ``type`` is stable and meant for programs, ``detail`` for people."""

    type: str
    title: str
    status: int
    detail: str
    problems: list[Fault] | None = None
    store: str | None = None


class ProblemError(HTTPException):
    """An error that is answered with a problem; ``kind`` is the last word of its type."""

    def __init__(
        self, status: int, kind: str, detail: str, *, headers: dict[str, str] | None = None, **more: Any
    ) -> None:
        super().__init__(status, detail, headers)
        self.kind = kind
        self.more = more


def unavailable(store: str, why: str) -> ProblemError:
    """A store that cannot be used now; the client should try again."""
    detail = f"{store} cannot be used now: {hide_secrets(why)}"
    return ProblemError(503, "store-unavailable", detail, headers=_RETRY, store=store)


def add_problem_handlers(app: FastAPI) -> None:
    """Makes the app answer every error with a problem."""
    app.add_exception_handler(StarletteHTTPException, _on_http)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    for error in (
        DefinitionError,
        RefusedError,
        UnknownFlowError,
        UnknownWorkflowError,
        StoreError,
        psycopg.Error,
        RedisError,
    ):
        app.add_exception_handler(error, _on_error)
    app.add_exception_handler(Exception, _on_error)


def problem_of(error: Exception) -> ProblemError:
    """The problem that an error is answered with, alone or as an entry of a bulk reply."""
    match error:
        case ProblemError():
            return error
        case DefinitionError():
            faults = [Fault(detail=problem) for problem in error.problems]
            return with_faults("definition", f"workflow {error.workflow!r} cannot be run", faults)
        case MovedError():
            return ProblemError(409, "moved", str(error))
        case RefusedError():
            return ProblemError(409, error.reason, str(error))
        case UnknownFlowError():
            return ProblemError(404, "unknown-flow", str(error))
        case UnknownWorkflowError():
            return ProblemError(404, "unknown-workflow", str(error))
        case LostError():
            return ProblemError(503, "redis-lost", str(error), headers=_RETRY_LOST, store="Redis")
        case StoreError():
            return unavailable("a store", str(error))
        case psycopg.Error():
            return unavailable("Postgres", words_of(error))
        case RedisError():
            return unavailable("Redis", words_of(error))
        case _:
            return ProblemError(500, "bug", "the server failed; its log says where")


def answer(problem: ProblemError) -> Response:
    """The reply that tells a problem."""
    body: dict[str, Any] = {
        "type": f"urn:flower:problem:{problem.kind}",
        "title": http.HTTPStatus(problem.status_code).phrase,
        "status": problem.status_code,
        "detail": problem.detail,
        **problem.more,
    }
    # json escapes everything beyond ASCII, so that whatever a client sent can be quoted.
    return Response(json.dumps(body), problem.status_code, problem.headers, MEDIA_TYPE)


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, StarletteHTTPException)
    if isinstance(error, ProblemError):
        return answer(error)
    path = request.url.path[:200]
    if error.status_code == 404:
        return answer(
            ProblemError(404, "not-found", f"there is nothing at {path}; /docs lists what there is")
        )
    if error.status_code == 405:
        methods = ", ".join(_methods_of(request))
        detail = f"{path} answers {methods}, not {method_of(request.scope)}"
        return answer(ProblemError(405, "method-not-allowed", detail, headers={"Allow": methods}))
    return answer(
        ProblemError(error.status_code, "http", str(error.detail), headers=dict(error.headers or {}))
    )


async def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    faults = [_fault(found["loc"], in_words(found)) for found in error.errors()]
    return answer(with_faults("invalid-request", "the request cannot be understood", faults))


async def _on_error(request: Request, error: Exception) -> Response:
    problem = problem_of(error)
    if problem.kind == "bug" or (
        isinstance(error, psycopg.Error) and not isinstance(error, psycopg.OperationalError)
    ):
        _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return answer(problem)


def with_faults(kind: str, what: str, faults: Sequence[Fault]) -> ProblemError:
    """A 422 with everything that is wrong; its detail tells the first."""
    others = f" (and {len(faults) - 1} more problems)" if len(faults) > 1 else ""
    detail = f"{what}: {faults[0].detail}{others}"
    return ProblemError(422, kind, detail, problems=[fault.model_dump(exclude_none=True) for fault in faults])


def _fault(place: Sequence[str | int], message: str) -> Fault:
    """``("body", "tasks", 3, "program")`` becomes a pointer, everything else a parameter's name."""
    where, *path = place
    if where != "body":
        name = str(path[0]) if path else str(where)
        return Fault(detail=f"{name}: {message}", parameter=name)
    pointer = "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in path)
    name = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")
    return Fault(detail=f"{name or 'body'}: {message}", pointer=f"#{pointer}")


def _methods_of(request: Request) -> list[str]:
    """Every method that some route answers at this path; a single route knows only its own."""
    found: set[str] = set()
    for route in request.app.routes:
        if route.matches(request.scope)[0] is not Match.NONE:
            found |= getattr(route, "methods", None) or set()
    return sorted(found | {"HEAD"} if "GET" in found else found)


def short(text: str) -> str:
    """What a client sent, as far as it helps to tell it apart."""
    return text if len(text) <= _MOST_QUOTED else f"{text[:_MOST_QUOTED]}..."


def words_of(error: Exception) -> str:
    """What a store says, for people; where no waiting heals it, also what to do."""
    fault = fault_of(error)
    return f"{fault.what} ({one_line(error)})" if fault.kind is Kind.REFUSED else one_line(error)


def one_line(error: Exception) -> str:
    """An error of a library, for people: without the secrets that it may repeat."""
    return hide_secrets(" ".join(str(error).split())) or type(error).__name__
