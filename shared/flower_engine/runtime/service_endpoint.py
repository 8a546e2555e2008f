"""What a service tells of itself over HTTP at ``FLOWER_METRICS_PORT``: few pages, for monitoring and probes.

GET and HEAD only, one request a connection, everything bounded. It asks for no token, so pages hold nothing
but numbers and names of the installation. It costs nothing where no port is set, and imports no framework.
"""

import asyncio
import contextlib
import http
import ipaddress
import logging
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from flower_engine.errors import SettingsError
from flower_engine.runtime.process_forks import hide_socket
from flower_engine.runtime.settings import Settings
from flower_engine.store_faults import STORE_ERRORS, words_of

_log = logging.getLogger(__name__)

_HEAD_BYTES = 16 * 1024
_HEAD_SECONDS = 5.0
_PAGE_SECONDS = 30.0
_ANSWER_SECONDS = 30.0
_MOST_CONNECTIONS = 64
_TEXT = "text/plain; charset=utf-8"


class Answer(NamedTuple):
    """What a page gives: a status, and a body with its type. ``is_head``: the body is not wanted."""

    status: int
    content_type: str
    body: bytes
    is_head: bool = False


Page = Callable[[], Awaitable[Answer]]
"""Makes a page for whoever asks for it now. What it raises is logged, and answered with 500."""


@contextlib.asynccontextmanager
async def service_endpoint(settings: Settings, pages: Mapping[str, Page]) -> AsyncGenerator[str | None]:
    """Serves the pages, by their paths, as long as the context lasts; its value is the URL, None where no
    port is set.

    Raises:
        SettingsError: the address cannot be listened on.
    """
    if settings.metrics_port is None:
        yield None
        return
    bound = _bind(settings.metrics_host, settings.metrics_port)
    with bound:
        hide_socket(bound)
        host, port, *_ = bound.getsockname()
        url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        takes_any = not ipaddress.ip_address(host).is_loopback
        endpoint = _Endpoint(pages, None if takes_any else frozenset(settings.allowed_hosts))
        server = await asyncio.start_server(endpoint.answer, sock=bound, limit=_HEAD_BYTES)
        _log.info("telling of this service at %s: %s", url, " ".join(sorted(pages)))
        try:
            yield url
        finally:
            server.close()
            await endpoint.close()


class _Endpoint:
    """Answers connections."""

    def __init__(self, pages: Mapping[str, Page], hosts: frozenset[str] | None) -> None:
        """``hosts``: those that it may be asked as, besides loopback; None: any."""
        self._pages = pages
        self._hosts = hosts
        self._open: set[asyncio.Task[None]] = set()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, from its request to its end."""
        task = asyncio.current_task()
        assert task is not None
        is_room = len(self._open) < _MOST_CONNECTIONS
        self._open.add(task)
        try:
            answer = await self._for(reader) if is_room else _said(503, "too many connections at one time")
            if answer is not None:
                writer.write(_head(answer) + (b"" if answer.is_head else answer.body))
                async with asyncio.timeout(_ANSWER_SECONDS):
                    await writer.drain()
                    writer.close()
                    await writer.wait_closed()
        except (OSError, TimeoutError):
            pass  # whoever asked is gone, or reads nothing
        finally:
            self._open.discard(task)
            if not writer.is_closing():
                writer.close()

    async def close(self) -> None:
        """Ends what is under way."""
        for task in list(self._open):
            task.cancel()
        if self._open:
            await asyncio.wait(self._open)

    async def _for(self, reader: asyncio.StreamReader) -> Answer | None:
        """The answer to the request that is read; None: there was none."""
        try:
            async with asyncio.timeout(_HEAD_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            return _said(431, f"a request's line and headers may have {_HEAD_BYTES:,} bytes here")
        except asyncio.IncompleteReadError as error:
            return _said(400, "this is no request of HTTP") if error.partial else None
        except TimeoutError:
            return _said(408, f"the request did not come within {_HEAD_SECONDS:g} s")
        line, *headers = head.decode("latin-1").split("\r\n")
        words = line.split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            return _said(400, "this is no request of HTTP/1.1")
        if not self._is_asked_by_its_name(headers):
            return _said(
                403,
                "this does not answer for that host: ask it as 127.0.0.1 or localhost, or name the host in"
                " FLOWER_ALLOWED_HOSTS",
            )
        page = self._pages.get(words[1].partition("?")[0])
        if page is None:
            return _said(404, f"there is no such page, but {', '.join(sorted(self._pages))}")
        if words[0] not in ("GET", "HEAD"):
            return _said(405, "GET and HEAD only")
        answer = await _made(words[1], page)
        return answer if words[0] == "GET" else answer._replace(is_head=True)

    def _is_asked_by_its_name(self, headers: list[str]) -> bool:
        """A browser here sends what a web page tells it to, by that page's name (DNS rebinding)."""
        if self._hosts is None:
            return True
        named = [
            value.strip()
            for name, _, value in (one.partition(":") for one in headers)
            if name.lower() == "host"
        ]
        return all(self._is_ours(name) for name in named)

    def _is_ours(self, given: str) -> bool:
        try:
            name = urlsplit(f"http://{given}").hostname or ""
        except ValueError:
            return False
        assert self._hosts is not None
        if name == "localhost" or name in self._hosts:
            return True
        with contextlib.suppress(ValueError):
            return ipaddress.ip_address(name).is_loopback
        return False


async def _made(path: str, page: Page) -> Answer:
    try:
        async with asyncio.timeout(_PAGE_SECONDS):
            return await page()
    except TimeoutError:
        return _said(503, f"it took longer than {_PAGE_SECONDS:g} s")
    except STORE_ERRORS as error:
        return _said(503, f"a store cannot be used now: {words_of(error)}")
    except Exception:  # noqa: BLE001 # a page must not end a service
        _log.exception("%s of this service failed", path)
        return _said(500, "it failed; the log of the service says how")


def _said(status: int, text: str) -> Answer:
    return Answer(status, _TEXT, f"{text}\n".encode())


def _head(answer: Answer) -> bytes:
    lines = [
        f"HTTP/1.1 {answer.status} {http.HTTPStatus(answer.status).phrase}",
        f"Content-Type: {answer.content_type}",
        f"Content-Length: {len(answer.body)}",
        "Connection: close",
        "Cache-Control: no-store",
        "X-Content-Type-Options: nosniff",
        *(["Allow: GET, HEAD"] if answer.status == 405 else []),
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _bind(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with contextlib.ExitStack() as stack:
            bound = stack.enter_context(socket.socket(family, kind, protocol))
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
            bound.listen()
            stack.pop_all()
    except (OSError, UnicodeError) as error:
        raise SettingsError(
            f"this service cannot tell its metrics at {host}:{port} ({_why(error)}): processes of one host"
            " need a FLOWER_METRICS_PORT each, or 0, which takes any free one and says it in the log; the"
            " address is FLOWER_METRICS_HOST"
        ) from error
    return bound


def _why(error: OSError | UnicodeError) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else "no name of a host"
