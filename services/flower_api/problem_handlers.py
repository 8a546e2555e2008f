"""Makes an app answer every error, whoever raised it, with a problem."""

import logging
from collections.abc import Sequence
from typing import Any

import psycopg
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.responses import Response
from starlette.routing import Match

from flower_api.error_answers import ANSWERS, problem_of
from flower_api.head_requests import method_of
from flower_api.problems import Fault, ProblemError, answer, with_faults
from flower_api.validation_faults import in_words_of, place_of
from flower_engine.model.waits.answer_links import masked

_log = logging.getLogger(__name__)


def add_problem_handlers(app: FastAPI) -> None:
    """Makes the app answer every error with a problem."""
    app.add_exception_handler(StarletteHTTPException, _on_http)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    for kind in (*ANSWERS, Exception):
        assert issubclass(kind, Exception)
        app.add_exception_handler(kind, _on_error)


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, StarletteHTTPException)
    if isinstance(error, ProblemError):
        return answer(error)
    path = masked(request.url.path)[:200]
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
    by_place: dict[tuple[str | int, ...], list[Any]] = {}
    for found in error.errors():  # of a value that may be this or that, pydantic tells each
        by_place.setdefault(place_of(found, error.body), []).append(found)
    faults = [_fault(place, in_words_of(group)) for place, group in by_place.items()]
    return answer(with_faults("invalid-request", "the request cannot be understood", faults))


async def _on_error(request: Request, error: Exception) -> Response:
    problem = problem_of(error)
    if problem.kind == "bug" or (
        isinstance(error, psycopg.Error) and not isinstance(error, psycopg.OperationalError)
    ):
        _log.error("%s %s failed", request.method, masked(request.url.path), exc_info=error)
    return answer(problem)


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
