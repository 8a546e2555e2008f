"""Problem details (RFC 9457), which is how the API tells every error."""

import http
import json
from collections.abc import Sequence
from typing import Any

from fastapi.exceptions import HTTPException
from pydantic import BaseModel
from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"


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


def with_faults(kind: str, what: str, faults: Sequence[Fault]) -> ProblemError:
    """A 422 with everything that is wrong; its detail tells the first."""
    others = f" (and {len(faults) - 1} more problems)" if len(faults) > 1 else ""
    return faulty(kind, f"{what}: {faults[0].detail}{others}", faults)


def faulty(kind: str, detail: str, faults: Sequence[Fault]) -> ProblemError:
    """A 422 with everything that is wrong."""
    return ProblemError(422, kind, detail, problems=[fault.model_dump(exclude_none=True) for fault in faults])


def type_of(kind: str) -> str:
    """The type of a problem, which programs tell it by."""
    return f"urn:flower:problem:{kind}"


def answer(problem: ProblemError) -> Response:
    """The reply that tells a problem."""
    body: dict[str, Any] = {
        "type": type_of(problem.kind),
        "title": http.HTTPStatus(problem.status_code).phrase,
        "status": problem.status_code,
        "detail": problem.detail,
        **problem.more,
    }
    # json escapes everything beyond ASCII, so that whatever a client sent can be quoted.
    return Response(json.dumps(body), problem.status_code, problem.headers, MEDIA_TYPE)
