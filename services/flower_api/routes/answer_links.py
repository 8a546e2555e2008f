"""``POST /flows/{id}/tasks/{n}/links``, ``/answers/{link}``: an approval is answered by a link, without an
account."""

import hashlib
from datetime import UTC, datetime
from typing import Annotated

import msgspec
from fastapi import FastAPI, Request
from pydantic import Field, SecretStr
from starlette.responses import Response

from flower_api.access import by_of, roles_of
from flower_api.answer_page import MOST_BODY, FormFault, answer_in, note, page_of
from flower_api.error_answers import problem_of
from flower_api.openapi import replies, reply
from flower_api.path_ids import FlowIdPath
from flower_api.problems import ProblemError
from flower_api.routes.tasks import TaskPath
from flower_api.schemas import NAME_PATTERN, RequestBody
from flower_engine.errors import FlowerError, ParametersError, RefusedError
from flower_engine.flows.answers import Answerer
from flower_engine.flows.approvals import ApprovalDetail, find_approval
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.model.waits.answer_links import MOST_NAME, PREFIX, AnswerLink, LinkFault, opened, signed
from flower_engine.projection.definitions.acting import note_act
from flower_engine.projection.read.view_fields import Moment, View

LINKS_ROLE = "links"
"""The role of tokens that may make links."""
_WEEK_SECONDS = 7 * 86_400
_MOST_SECONDS = 90 * 86_400
_DONE = "Your answer is noted"


class LinkBody(RequestBody):
    """For whom a link is to be, and for how long it works."""

    name: Annotated[str, Field(alias="for", min_length=1, max_length=MOST_NAME, pattern=NAME_PATTERN)]
    expires_seconds: float = Field(_WEEK_SECONDS, ge=1, le=_MOST_SECONDS)


class LinkView(View):
    """A link by which this name answers, once; whoever has it can. `attempt`: the asking that it is for."""

    url: str
    name: str = msgspec.field(name="for")
    attempt: int
    expires: Moment


class Linking:
    """What links are signed with: with the first word of ``secret``, the others are still taken; none: there
    are no links. ``base``: where people reach this API; "": as whoever asks for the link reaches it."""

    def __init__(self, secret: SecretStr | None = None, base: str = "", *, has_tokens: bool = False) -> None:
        self.secrets = secret.get_secret_value().split() if secret else []
        self.base = base.rstrip("/")
        self.has_tokens = has_tokens


def add_answer_links(app: FastAPI, stores: PostgresStores, linking: Linking) -> None:
    """Adds the routes of links."""

    @app.post(
        "/flows/{task_flow_id}/tasks/{task}/links",
        status_code=201,
        summary="Make a link that answers an approval",
        responses=replies({201: (LinkView, "The link")}, problems=(400, 403, 404, 409, 413, 415, 422, 503)),
    )
    async def post_link(
        task_flow_id: FlowIdPath, task: TaskPath, body: LinkBody, request: Request
    ) -> Response:
        """It works once, for the asking that is now; opening it changes nothing."""
        if not linking.secrets:
            raise ProblemError(409, "no-links", "there are no links: set FLOWER_LINK_SECRET for the API")
        if linking.has_tokens and LINKS_ROLE not in roles_of(request):
            raise ProblemError(
                403,
                "may-not-link",
                f"a link answers in somebody's name: token {by_of(request)!r} needs the role"
                f" {LINKS_ROLE!r} for it",
            )
        found = await find_approval(stores, task_flow_id.lower(), task)
        if not found.is_asked:
            raise RefusedError(f"flow {task_flow_id}: task {task} asks nobody just now", "not-awaiting")
        said = {"task": found.task_exec_seq, "attempt": found.attempt, "for": body.name}
        async with stores.postgres() as connection:
            await note_act(
                connection,
                by_of(request),
                "link.made",
                name=body.name,
                workflow=found.task_id,
                flow=found.task_flow_id,
                details=said,
            )
        expires = int(stores.now_ms() / 1000 + body.expires_seconds)
        link = AnswerLink(found.task_flow_id, found.task_exec_seq, found.attempt, body.name, expires)
        base = linking.base or str(request.base_url).rstrip("/")
        url = f"{base}{PREFIX}{signed(link, linking.secrets[0])}"
        view = LinkView(
            url=url, name=body.name, attempt=found.attempt, expires=datetime.fromtimestamp(expires, UTC)
        )
        answered = reply(view, 201)
        answered.headers["Cache-Control"] = "no-store"
        return answered

    async def get_page(request: Request) -> Response:
        """Shows what is asked. Programs that scan mails open links, so nothing changes."""
        try:
            link = opened(request.path_params["link"], linking.secrets, stores.now_ms() / 1000)
            found = await find_approval(stores, link.flow, link.task)
        except LinkFault as fault:
            return note("This link does not work", str(fault), 410 if fault.is_over else 404)
        except FlowerError as error:
            return _refusal(error)
        over = _over(found, link)
        return note("Nothing to answer", over, 410) if over else page_of(found, link.name)

    async def post_page(request: Request) -> Response:
        """Takes the answer."""
        text: str = request.path_params["link"]
        try:
            link = opened(text, linking.secrets, stores.now_ms() / 1000)
            body = await _body(request)
            found = await find_approval(stores, link.flow, link.task)
        except LinkFault as fault:
            return note("This link does not work", str(fault), 410 if fault.is_over else 404)
        except FlowerError as error:
            return _refusal(error)
        try:
            given = answer_in(body, found.form)
            # The same answer sent again, because its page never came, is the same.
            operation = hashlib.sha256(b"\0".join((text.encode(), body))).hexdigest()[:32]
            answerer = Answerer(stores, link.flow, link.name, None, operation)
            await answerer.answer(link.task, given, link.attempt, roles=None)
        except FormFault as fault:
            return page_of(found, link.name, [str(fault)])
        except ParametersError as error:
            return page_of(found, link.name, [fault.detail for fault in error.faults])
        except FlowerError as error:
            return _refusal(error)
        return note("Thank you", f"{_DONE}, {link.name}.", 200)

    app.add_route(PREFIX + "{link}", get_page, methods=["GET"], include_in_schema=False)
    app.add_route(PREFIX + "{link}", post_page, methods=["POST"], include_in_schema=False)


async def _body(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BODY:
            raise LinkFault("What was sent is too long.")
    return body


def _over(found: ApprovalDetail, link: AnswerLink) -> str:
    """Why there is nothing (more) to answer by a link; "": there is."""
    if not found.is_asked:
        return "Nobody is asked any more."
    if found.attempt != link.attempt:
        return "This was asked anew since the link was made; there is another link for that."
    return f"{link.name} has answered already." if link.name in found.answered_by else ""


def _refusal(error: FlowerError) -> Response:
    problem = problem_of(error)
    if isinstance(error, RefusedError) and error.reason in (
        "not-awaiting",
        "asked-anew",
        "answered",
        "ended",
    ):
        words = {
            "answered": "You have answered already.",
            "asked-anew": "This was asked anew since the link was made; there is another link for that.",
        }
        return note("Nothing to answer", words.get(error.reason, "Nobody is asked any more."), 410)
    if problem.status_code >= 500:
        page = note("Not now", "It cannot be answered just now; try again in a moment.", problem.status_code)
        page.headers.update(problem.headers or {})
        return page
    return note("This cannot be answered", str(error), problem.status_code)
