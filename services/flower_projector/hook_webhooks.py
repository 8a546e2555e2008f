"""Webhooks: a notification sent to a URL, signed."""

import asyncio
import contextlib
from collections.abc import Mapping
from fnmatch import fnmatchcase

import httpx

from flower_engine.errors import SecretError
from flower_engine.hooks.hook import Hook, why_no_url
from flower_engine.hooks.signatures import headers_of
from flower_engine.own_version import own_version
from flower_engine.projection.hooks.deliveries import MAX_ANSWER, Outcome, Taken
from flower_engine.retry_after import asked_seconds
from flower_engine.runtime.clock import SYSTEM_CLOCK, Clock
from flower_engine.runtime.secret_sources import SecretSources
from flower_engine.runtime.settings import Settings
from flower_engine.secrets import hide_secrets, learn_secrets
from flower_projector.hook_addresses import Networks, RefusedAddressError, addresses_of

_GONE = 410


class Webhooks:
    """Sends webhooks, each over a connection of its own: none is shared by two hosts of one address."""

    def __init__(
        self, settings: Settings, environment: Mapping[str, str], clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self._clock = clock
        self._networks = Networks(settings.hook_networks)
        self._allowed_secrets = settings.hook_secrets
        self._secrets = SecretSources(settings.secrets_prefix, settings.secrets_folder, environment)
        self._timeout_seconds = settings.hook_timeout_seconds
        self._clients: dict[bool, httpx.AsyncClient] = {}  # one for https, one for http
        self._making = asyncio.Lock()  # of deliveries that begin at once, one makes it

    async def close(self) -> None:
        """Ends what is under way."""
        for client in list(self._clients.values()):  # one may begin meanwhile
            await client.aclose()

    async def tell(self, hook: Hook, taken: Taken) -> Outcome:
        """One attempt; whatever becomes of it is told, not raised."""
        body = taken.body.encode()
        try:
            seconds = self._clock.now_ms() // 1_000
            headers = headers_of(taken.id, seconds, body, self._secret(hook), hook.secret or "")
        except SecretError as error:
            return Outcome(error=str(error))
        why = why_no_url(hook.target)
        if why:
            return Outcome(error=why)
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await self._send(httpx.URL(hook.target), headers, body)
        except TimeoutError:
            return Outcome(error=f"no whole answer within {self._timeout_seconds:g} s")
        except RefusedAddressError as error:
            return Outcome(error=str(error))
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, RuntimeError) as error:
            return Outcome(error=hide_secrets(_words_of(error)))

    def _secret(self, hook: Hook) -> str | None:
        if hook.secret is None:
            return None
        if not any(fnmatchcase(hook.secret, allowed) for allowed in self._allowed_secrets):
            raise SecretError(
                f"secret {hook.secret} is not for hooks: no entry of FLOWER_HOOK_SECRETS of the projector"
                " matches it"
            )
        value = self._secrets.value(hook.secret)
        learn_secrets(value.split())
        return value

    async def _send(self, url: httpx.URL, headers: dict[str, str], body: bytes) -> Outcome:
        port = url.port or (443 if url.scheme == "https" else 80)
        addresses = await addresses_of(url.host, port, self._networks)
        # One that does not answer leaves the others a share of the time.
        timeout = httpx.Timeout(self._timeout_seconds, connect=self._timeout_seconds / len(addresses))
        client = await self._client_for(url.scheme == "https")
        for address in addresses:
            request = client.build_request(
                "POST",
                url.copy_with(host=address),
                content=body,
                headers={
                    **headers,
                    "host": url.netloc.decode(),
                    "content-type": "application/json",
                    "accept-encoding": "identity",
                    "user-agent": own_version().replace(" ", "/"),
                },
                timeout=timeout,
                extensions={"sni_hostname": url.host},
            )
            try:
                reply = await client.send(request, stream=True)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                if address == addresses[-1]:
                    raise
                continue
            with contextlib.suppress(httpx.HTTPError):  # the answer counts, whatever becomes of its body
                return await _outcome(reply, self._clock.now_ms() / 1_000)
            return _judged(reply, b"", self._clock.now_ms() / 1_000)
        raise OSError("no address")  # never: there is one at least

    async def _client_for(self, secured: bool) -> httpx.AsyncClient:
        async with self._making:
            if secured not in self._clients:
                self._clients[secured] = await asyncio.to_thread(self._make_client, secured)
        return self._clients[secured]

    def _make_client(self, secured: bool) -> httpx.AsyncClient:
        # No proxy of the environment: it, and not this, would look the host up. The certificates of all
        # authorities are read for https only.
        return httpx.AsyncClient(
            verify=httpx.create_ssl_context() if secured else False,
            trust_env=False,
            follow_redirects=False,
            timeout=self._timeout_seconds,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
        )


async def _outcome(reply: httpx.Response, now_seconds: float) -> Outcome:
    try:
        begin = b""
        async for part in reply.aiter_raw():
            begin += part
            if len(begin) >= MAX_ANSWER:
                break
        return _judged(reply, begin[:MAX_ANSWER], now_seconds)
    finally:
        await reply.aclose()


def _judged(reply: httpx.Response, begin: bytes, now_seconds: float) -> Outcome:
    status, answer = reply.status_code, hide_secrets(begin.decode("utf-8", "replace"))
    if reply.is_success:
        return Outcome(status=status, answer=answer)
    error = f"answered {status}"
    if reply.is_redirect:
        where = reply.headers.get("location", "")[:200]
        error += f" (to {where!r}): a webhook follows no redirect; give it the URL where it ends"
    return Outcome(
        error=hide_secrets(error),
        status=status,
        answer=answer,
        is_final=status == _GONE,
        retry_after=asked_seconds(reply.headers, now_seconds),
    )


def _words_of(error: Exception) -> str:
    """What went wrong, with what was behind it, of which libraries say little or nothing."""
    said, root = f"{type(error).__name__}: {error}".removesuffix(": "), error
    while (behind := root.__cause__ or root.__context__) is not None and isinstance(behind, Exception):
        root = behind
    if str(root) and str(root) not in said:
        said += f" ({type(root).__name__}: {root})"
    return said
