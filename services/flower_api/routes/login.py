"""``/login``, ``/logout``, ``/session``: a browser gives its token once, and has a session from then on."""

import logging
from collections.abc import Sequence
from urllib.parse import parse_qs

import msgspec
from fastapi import FastAPI, Request
from starlette.responses import RedirectResponse, Response

from flower_api.access import KnownTokens
from flower_api.openapi import reply
from flower_api.problems import ProblemError
from flower_api.sessions import COOKIE, LASTS_SECONDS, Session, Sessions, cookie_name
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.projection.definitions.acting import note_act
from flower_engine.runtime.api_tokens import ApiToken
from flower_engine.store_faults import STORE_ERRORS

_log = logging.getLogger(__name__)

_MOST_BYTES = 8 * 1024
_FORM = "application/x-www-form-urlencoded"
_NOT_KEPT = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class SessionView(msgspec.Struct, rename="camel"):
    """Who asks. ``is_known``: may read; ``csrf`` is what changes have to bring along, as ``Flower-CSRF``."""

    needs_token: bool
    is_known: bool
    may_operate: bool
    name: str | None = None
    csrf: str | None = None
    until_seconds: int | None = None


class _Given(msgspec.Struct):
    token: str


def add_login(app: FastAPI, stores: PostgresStores, tokens: Sequence[ApiToken], sessions: Sessions) -> None:
    """Adds the routes that begin, end and show sessions. Without tokens everybody on this machine may all."""
    known = KnownTokens(tokens)

    async def get_session(request: Request) -> Response:
        return _told(_view(tokens, sessions.find(_cookies(request), _name(request))))

    async def log_in(request: Request) -> Response:
        is_form = request.headers.get("content-type", "").partition(";")[0].strip().lower() == _FORM
        given = _token_in(await _body(request), is_form=is_form)
        token = known.find(given.strip().encode())
        if tokens and token is None:
            raise ProblemError(401, "unauthorized", "nobody has this token; it is one of FLOWER_API_TOKENS")
        begun = None if token is None else sessions.begin(token)
        view = _view(tokens, None if begun is None else sessions.find(f"{COOKIE}={begun}"))
        answer = RedirectResponse("./", 303, headers=_NOT_KEPT) if is_form else _told(view)
        if token is not None and begun is not None:
            await _note(stores, token.name, "session.began")
            answer.set_cookie(
                _name(request),
                begun,
                max_age=LASTS_SECONDS,
                httponly=True,
                samesite="strict",
                secure=_came_encrypted(request),
            )
        return answer

    async def log_out(request: Request) -> Response:
        answer = Response(status_code=204, headers=_NOT_KEPT)
        known_session = sessions.find(_cookies(request), _name(request))
        if known_session is not None:
            await _note(stores, known_session.token.name, "session.ended")
        answer.delete_cookie(
            _name(request), httponly=True, samesite="strict", secure=_came_encrypted(request)
        )
        return answer

    app.add_route("/session", get_session, include_in_schema=False)
    app.add_route("/login", log_in, methods=["POST"], include_in_schema=False)
    app.add_route("/logout", log_out, methods=["POST"], include_in_schema=False)


async def _note(stores: PostgresStores, by: str, act: str) -> None:
    """Nobody is kept out because it cannot be noted: sessions need no store."""
    try:
        async with stores.postgres() as connection:
            await note_act(connection, by, act)
    except STORE_ERRORS as error:
        _log.warning("%s of %s is not in the audit: %s", act, by, error)


def _view(tokens: Sequence[ApiToken], session: Session | None) -> SessionView:
    if not tokens:
        return SessionView(needs_token=False, is_known=True, may_operate=True)
    if session is None:
        return SessionView(needs_token=True, is_known=False, may_operate=False)
    token = session.token
    return SessionView(
        needs_token=True,
        is_known=True,
        may_operate=token.may_operate,
        name=token.name,
        csrf=session.csrf,
        until_seconds=session.until_seconds,
    )


def _told(view: SessionView) -> Response:
    told = reply(view)
    told.headers.update(_NOT_KEPT)
    return told


def _cookies(request: Request) -> str:
    return ";".join(request.headers.getlist("cookie"))


def _name(request: Request) -> str:
    return cookie_name(request.headers.get("host", ""))


def _came_encrypted(request: Request) -> bool:
    """Whether the browser speaks HTTPS to whatever stands before this API."""
    return request.headers.get("origin", "").startswith("https://") or request.url.scheme == "https"


async def _body(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES:
            raise ProblemError(413, "too-large", f"a login is no longer than {_MOST_BYTES} bytes")
    return body


def _token_in(body: bytes, *, is_form: bool) -> str:
    try:
        if is_form:
            return parse_qs(body.decode("ascii"), strict_parsing=True, max_num_fields=10)["token"][0]
        return msgspec.json.decode(body, type=_Given).token
    except (ValueError, KeyError, RecursionError):
        raise ProblemError(
            422, "invalid-request", 'a login is {"token": "..."} as JSON, or a form with the field token'
        ) from None
