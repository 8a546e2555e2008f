"""The HTTP API as these commands use it: where it is, who asks, and what its errors mean for scripts."""

import os
import sys
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import quote

import httpx
import msgspec
import typer

from flower_cli.console import err, fail
from flower_engine.secrets import learn_address

EXIT_REFUSED, EXIT_USAGE, EXIT_AWAY = 1, 2, 5
DEFAULT_URL = "http://127.0.0.1:8000"
_TIMEOUT = httpx.Timeout(60.0, connect=5.0)

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
    """A connection to the API of ``FLOWER_URL``, as whom ``FLOWER_TOKEN`` names."""

    def __init__(self, url: str, token: str | None, timeout: httpx.Timeout = _TIMEOUT) -> None:
        headers = {"Flower-Client": "cli"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        try:
            # Reading the certificates of all authorities takes longer than a call, and http needs none.
            needs_certificates = not url.startswith("http://")
            self._client = httpx.Client(
                base_url=url, headers=headers, timeout=timeout, verify=needs_certificates
            )
        except (httpx.InvalidURL, UnicodeError) as error:
            raise ApiError(f"FLOWER_URL {url!r} is no URL: {error}", EXIT_USAGE) from None
        self.url = url

    def close(self) -> None:
        """Ends the connection."""
        self._client.close()

    def get(self, path: str, **query: Any) -> bytes:
        """The body of the answer; query parameters that are None are left out."""
        given = {name: value for name, value in query.items() if value is not None}
        return self._send("GET", path, params=given).content

    def post(self, path: str, body: Json) -> bytes:
        """The body of the answer to a body of JSON."""
        return self._send("POST", path, json=body).content

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
        with _told(self.url), self._client.stream("POST", path, json=body, timeout=None) as reply:
            if reply.is_error:
                reply.read()
                raise _error_of(reply)
            for line in reply.iter_lines():
                yield msgspec.json.decode(line)

    def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        with _told(self.url):
            reply = self._client.request(method, path, **request)
        if reply.is_error:
            raise _error_of(reply)
        if method != "GET":
            say_warnings(reply.content)
        return reply


@contextmanager
def connected(url: str | None) -> Generator[Api]:
    """The API at ``url``, else at :func:`address`.

    Its errors are said on standard error, and end the command with their exit code.
    """
    where = url or address()
    learn_address(where)
    try:
        with closing(Api(where, os.environ.get("FLOWER_TOKEN"))) as api:
            yield api
    except ApiError as error:
        fail(str(error))
        raise typer.Exit(error.exit_code) from None


def address() -> str:
    """Where the API is: ``FLOWER_URL``, or that of a ``flower up`` on this data folder, or the usual one."""
    return os.environ.get("FLOWER_URL") or _url_here() or DEFAULT_URL


def part(name: str) -> str:
    """A name as a part of a path; one of dots alone would be taken for a way through folders."""
    return quote(name, safe="").replace(".", "%2E") if name.strip(".") == "" else quote(name, safe="")


def say_warnings(answer: bytes) -> None:
    """What an answer warns of, on standard error: a name that nobody knows yet, what could not be checked."""
    if b'"warnings":' not in answer:
        return
    try:
        warnings = msgspec.json.decode(answer, type=_Warned).warnings
    except msgspec.MsgspecError:
        return  # a list, or a flow whose parameters have this name
    for warning in warnings:
        err.print(f"warning: {warning}", style="yellow", markup=False)


def print_json(answer: bytes) -> None:
    """An answer of the API as it came."""
    sys.stdout.write(answer.decode() + "\n")
    sys.stdout.flush()


def _url_here() -> str | None:
    from flower_engine.embedded.home import Home
    from flower_engine.errors import FlowerError
    from flower_engine.runtime.settings import load_settings

    try:
        running = Home(load_settings().home).announced()
    except FlowerError:
        return None
    return running.api_url if running else None


@contextmanager
def _told(url: str) -> Generator[None]:
    try:
        yield
    except httpx.HTTPError as error:
        raise ApiError(
            f"the API at {url} cannot be reached ({error or type(error).__name__}): start the engine with"
            " 'flower up', or set FLOWER_URL",
            EXIT_AWAY,
        ) from None


def _error_of(reply: httpx.Response) -> ApiError:
    try:
        body: dict[str, Any] = msgspec.json.decode(reply.content)
        detail = body.get("detail") or body.get("description") or reply.text
        problems: list[dict[str, Any]] = body.get("problems") or []
        others = [str(problem["detail"]) for problem in problems]
    except (msgspec.DecodeError, AttributeError, TypeError, KeyError):
        detail, others = reply.text[:500] or reply.reason_phrase, []
    lines = [str(detail), *(f"- {other}" for other in others if len(others) > 1)]
    message = "\n".join(lines)
    if reply.status_code == 401:
        message += "; give it as FLOWER_TOKEN"
    exit_code = EXIT_AWAY if reply.status_code >= 500 else EXIT_REFUSED
    return ApiError(message, exit_code, reply.content)
