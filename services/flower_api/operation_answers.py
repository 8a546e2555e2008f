"""What operations on one flow have in common: what they say, for whom they are done, and their answers."""

import hashlib
from typing import Any, ClassVar

from fastapi import Request
from pydantic import Field
from starlette.responses import Response

from flower_api.access import by_of
from flower_api.openapi import Responses, replies, reply
from flower_api.schemas import Reason, RequestBody
from flower_engine.flows.effects import Effect
from flower_engine.flows.operation_views import OperatedView, told_after, told_before
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.flows.tree_operations import TreeOperator
from flower_engine.transitions.operator_transitions import Operated

_PROBLEMS = (400, 404, 409, 413, 415, 422, 503)


class Operation(RequestBody):
    """What every operation may say."""

    version: int | None = Field(
        None, ge=1, description="the flow's version as the caller saw it; refused if there is a newer one"
    )


class MayBeDry(Operation):
    """An operation that can say what it would do."""

    came_later: ClassVar[frozenset[str]] = frozenset({"dry_run"})
    dry_run: bool = Field(False, description="only say what it would do to the flow as it stands")


class WithReason(Operation):
    """An operation with a reason, kept in its event."""

    reason: Reason = ""


def responses(sentence: str, view: Any = OperatedView, *more: int) -> Responses:
    """What an operation answers, and that in words; ``more`` problems that others do not have."""
    return replies({200: (view, sentence)}, problems=(*_PROBLEMS, *more))


def operator_of(
    stores: PostgresStores, request: Request, flow_id: str, body: Operation | None, key: str | None
) -> TreeOperator:
    """Who operates on the flow for whoever asks."""
    version = body.version if body else None
    operation = operation_of(request, body, key) if key else ""
    return TreeOperator(stores, flow_id.lower(), by_of(request), version, operation)


def operation_of(request: Request, body: RequestBody | None, key: str) -> str:
    """An id that the same key gives to the same call only, whoever else uses that key for something else."""
    said = said_in(body) if body else ""
    whole = "\0".join((by_of(request), request.url.path, key, said))
    return hashlib.sha256(whole.encode(errors="surrogatepass")).hexdigest()[:32]


def said_in(body: RequestBody) -> str:
    """What a body says, as ids of operations are made of it: a service of the version before, to which the
    first sending may have gone, makes the same of it. So a field that a call got later counts only where it
    says something."""
    fields = type(body).model_fields
    silent = {name for name in body.came_later if getattr(body, name) == fields[name].default}
    return body.model_dump_json(exclude=silent)


async def foretold(
    stores: PostgresStores, flow_id: str, operation: str, effect: Effect, operates: TreeOperator
) -> Response:
    """The answer to a dry run."""
    return reply(await told_before(stores, flow_id.lower(), operation, effect, operates))


def replied(flow_id: str, operation: str, done: Operated, operates: TreeOperator | None = None) -> Response:
    """The answer to an operation that is done."""
    return reply(told_after(flow_id.lower(), operation, done, operates))
