"""The HTTP API as these commands use it: who asks, and what its errors mean for scripts."""

import sys
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from typing import Any

import httpx
import msgspec
import typer

from flower_cli.console import err, fail
from flower_engine.client.api_location import api_url
from flower_engine.client.client_errors import problem_words
from flower_engine.client.http_settings import TIMEOUT, session_settings, why_unreached
from flower_engine.client.kept_position import FiledPosition
from flower_engine.client.sent_events import SentEvent, SentEvents
from flower_engine.client.text_lines import TextLines
from flower_engine.errors import SettingsError
from flower_engine.secret_files import own_token

EXIT_REFUSED, EXIT_USAGE, EXIT_AWAY = 1, 2, 5

Json = Any


class _Warned(msgspec.Struct):
    warnings: list[str] = []


class ApiError(Exception):
    """The API refused, failed, or cannot be reached; ``exit_code`` says which."""

    def __init__(self, message: str, exit_code: int, body: bytes = b"") -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.body = body


class Api:
    """A connection to the API of ``FLOWER_URL``, as whom ``FLOWER_TOKEN`` names. Each call is sent once:
    whoever types is told at once."""

    def __init__(self, url: str, token: str | None, timeout: httpx.Timeout = TIMEOUT) -> None:
        self._client = httpx.Client(**session_settings(url, token, "cli", timeout))
        self._position = FiledPosition(url)
        self.url = url
        self._warned: set[str] = set()  # a deploy hears what it was warned of in its plan again

    def close(self) -> None:
        """Ends the connection."""
        self._position.keep()
        self._client.close()

    def get(self, path: str, **query: Any) -> bytes:
        """The body of the answer; query parameters that are None are left out."""
        given = {name: value for name, value in query.items() if value is not None}
        return self._send("GET", path, params=given).content

    def post(self, path: str, body: Json, **query: Any) -> bytes:
        """The body of the answer to a body of JSON; query parameters that are None are left out."""
        given = {name: value for name, value in query.items() if value is not None}
        return self._send("POST", path, json=body, params=given).content

    def put(self, path: str, body: Json) -> bytes:
        """The body of the answer to a body of JSON that takes the place of what is there."""
        return self._send("PUT", path, json=body).content

    def put_new(self, path: str, body: Json) -> bool:
        """The same; whether nothing was there before."""
        return self._send("PUT", path, json=body).status_code == 201

    def delete(self, path: str) -> None:
        """Takes away what is there."""
        self._send("DELETE", path)

    def read(self, path: str, **query: Any) -> Json:
        """The same as :meth:`get`, decoded."""
        return msgspec.json.decode(self.get(path, **query))

    def send(self, path: str, body: Json) -> Json:
        """The same as :meth:`post`, decoded."""
        return msgspec.json.decode(self.post(path, body))

    def pages(self, path: str, key: str, limit: int, **query: Any) -> Iterator[Json]:
        """The entries ``key`` of one page after the other, ``limit`` at most."""
        left, cursor = limit, None
        while left > 0:
            answer = self.get(path, limit=min(left, 1_000), cursor=cursor, **query)
            say_warnings(answer)
            page = msgspec.json.decode(answer)
            yield from page[key][:left]
            left -= len(page[key])
            cursor = page["next"]
            if cursor is None:
                return

    def lines(self, path: str, body: Json) -> Iterator[Json]:
        """Each line of an answer that comes in lines of JSON."""
        headers: dict[str, str] = {}
        sent = self._position.ask(headers)
        with (
            _told(self.url),
            self._client.stream("POST", path, json=body, headers=headers, timeout=None) as reply,
        ):
            self._position.take(sent, reply.headers)
            if reply.is_error:
                reply.read()
                raise _error_of(reply)
            for line in _lines_of(reply):
                yield msgspec.json.decode(line)

    def events(self, path: str, mark: str, **query: Any) -> Iterator[SentEvent | None]:
        """Server-sent events as they come, behind the one of this mark (""; from the first); None for
        whatever else comes."""
        given = {name: value for name, value in query.items() if value is not None}
        headers = {"Last-Event-ID": mark} if mark else {}
        sent = SentEvents(mark)
        with _told(self.url), self._client.stream("GET", path, params=given, headers=headers) as reply:
            if reply.is_error:
                reply.read()
                raise _error_of(reply)
            for line in _lines_of(reply):
                yield sent.take(line)
        raise ApiError(f"the API at {self.url} ended what it sent", EXIT_AWAY)

    def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        headers: dict[str, str] = {}
        sent = self._position.ask(headers)
        with _told(self.url):
            reply = self._client.request(method, path, headers=headers, **request)
        self._position.take(sent, reply.headers)
        if reply.is_error:
            raise _error_of(reply)
        if method != "GET":
            say_warnings(reply.content, self._warned)
        return reply


def _lines_of(reply: httpx.Response) -> Iterator[str]:
    lines = TextLines()
    for piece in reply.iter_bytes():
        yield from lines.take(piece)
    yield from lines.rest()


@contextmanager
def connected(url: str | None) -> Generator[Api]:
    """The API at ``url``, else at :func:`address`.

    Its errors are said on standard error, and end the command with their exit code.
    """
    where = url or api_url()
    try:
        with closing(Api(where, own_token())) as api:
            yield api
    except (ApiError, SettingsError) as error:
        fail(str(error))
        raise typer.Exit(error.exit_code if isinstance(error, ApiError) else EXIT_USAGE) from None


def say_warnings(answer: bytes, said: set[str] | None = None) -> None:
    """What an answer warns of, on standard error: a name that nobody knows yet, what could not be checked.
    What was ``said`` before is left out."""
    if b'"warnings":' not in answer:
        return
    try:
        warnings = msgspec.json.decode(answer, type=_Warned).warnings
    except msgspec.MsgspecError:
        return  # a list, or a flow whose parameters have this name
    for warning in warnings:
        if said is None or warning not in said:
            err.print(f"warning: {warning}", style="yellow", markup=False)
    if said is not None:
        said.update(warnings)


def print_json(answer: bytes) -> None:
    """An answer of the API as it came."""
    sys.stdout.write(answer.decode() + "\n")
    sys.stdout.flush()


@contextmanager
def _told(url: str) -> Generator[None]:
    try:
        yield
    except httpx.HTTPError as error:
        raise ApiError(why_unreached(url, error), EXIT_AWAY) from None


def _error_of(reply: httpx.Response) -> ApiError:
    message = problem_words(reply.content, reply.reason_phrase)
    if reply.status_code == 401:
        message += "; give it as FLOWER_TOKEN"
    exit_code = EXIT_AWAY if reply.status_code >= 500 else EXIT_REFUSED
    return ApiError(message, exit_code, reply.content)
