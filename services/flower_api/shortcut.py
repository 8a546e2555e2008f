"""Registrations without a body, answered past FastAPI's validation.

It is what ``curl -X POST`` sends, and that validation would be half of its work.
"""

import re
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from flower_api.request_bodies import StrictRoute
from flower_api.schemas import NAME_PATTERN
from flower_engine.model.tasks.task_spec import MAX_NAME_LENGTH

_is_name = re.compile(NAME_PATTERN).search
_SAYS_SOMETHING = (b"idempotency-key", b"transfer-encoding")


def shortcut(answer: Callable[[Request, str], Awaitable[Response]]) -> type[StrictRoute]:
    """A class of routes with a ``task_id`` in their path: ``answer(request, task_id)`` takes the requests
    that are nothing but their path; all others go the usual way, which must answer those the same."""

    class Shortcut(StrictRoute):
        def get_route_handler(self) -> Any:
            handle = super().get_route_handler()

            async def handle_plain(request: Request) -> Response:
                task_id: str = request.path_params["task_id"]
                if _is_plain(request) and 0 < len(task_id) <= MAX_NAME_LENGTH and _is_name(task_id):
                    return await answer(request, task_id)
                return await handle(request)

            return handle_plain

    return Shortcut


def _is_plain(request: Request) -> bool:
    for name, value in request.scope["headers"]:
        if name in _SAYS_SOMETHING or (name == b"content-length" and value != b"0"):
            return False
    return True
