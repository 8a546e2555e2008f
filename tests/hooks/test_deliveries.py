"""What is noted is delivered: signed, again and again until it is taken; no receiver waits for another."""

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import textwrap
import threading
import time
from email.utils import formatdate
from pathlib import Path
from typing import Any

import httpx
import pytest

from flower_engine.hooks.python_hooks import hook as python_hook
from flower_engine.programs.outcomes import Fatal
from flower_engine.projection.database import Connection
from flower_engine.projection.hooks.deliveries import NewDelivery, add_deliveries, deliver_again
from flower_engine.runtime.settings import Settings
from flower_engine.runtime.settings_loading import load_settings
from flower_projector.hook_deliveries import DeliveryLoop
from hooks.conftest import Hooked, settle
from hooks.receiver import Call, Receiver, is_signed, receiving

SECRET = "a secret of forty characters, or some more"


async def note(hooked: Hooked, hook: str, *ids: str) -> None:
    """Something is to be told."""
    body = json.dumps({"id": "x", "data": {"ä": 1}}).encode()
    await add_deliveries(
        hooked.tables, [NewDelivery(number, hook, "flow.failed", None, body) for number in ids]
    )


def loop_with(hooked: Hooked, **settings: Any) -> DeliveryLoop:
    """Another projector's loop, with other settings."""
    return DeliveryLoop(hooked.pool, hooked.settings.model_copy(update=settings))


async def make_due(tables: Connection) -> None:
    """As time passes."""
    await tables.execute("UPDATE kr_hook_delivery SET next_ts = now() WHERE state = 'waiting'")


async def test_deliveries_that_begin_at_once_make_one_client_for_all(
    hooked: Hooked, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another one would be dropped without being closed."""
    made: list[httpx.AsyncClient] = []

    class Counted(httpx.AsyncClient):
        def __init__(self, **options: Any) -> None:
            made.append(self)
            super().__init__(**options)

    monkeypatch.setattr(httpx, "AsyncClient", Counted)
    await hooked.hook("ops", receiver.url)
    await note(hooked, "ops", "msg_1", "msg_2", "msg_3")
    await hooked.deliver()
    assert len(receiver.calls) == 3
    assert len(made) == 1


async def test_a_webhook_comes_signed_and_is_noted_as_delivered(
    hooked: Hooked, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = SECRET.replace(" ", "-")
    monkeypatch.setenv("FLOWER_SECRET_HOOK_OPS", secret)
    await hooked.hook("ops", receiver.url, secret="HOOK_OPS")
    receiver.answer = lambda _: (200, {}, b"thanks\x00\xff" + b"x" * 100_000)
    await note(hooked, "ops", "msg_1")
    await hooked.deliver()
    (call,) = receiver.calls
    assert (call.path, call.id, call.headers["content-type"]) == ("/hook", "msg_1", "application/json")
    assert call.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert is_signed(call, secret)
    assert not is_signed(call, secret + "x")
    ((state, attempts, status, answer, error, body),) = await hooked.ledger(
        *("state", "attempts", "status", "answer", "error", "body")
    )
    assert (state, attempts, status, error) == ("delivered", 1, 200, "")
    assert answer.startswith("thanks�") and len(answer) <= 2_048
    assert body.encode() == call.body
    await hooked.deliver()
    assert len(receiver.calls) == 1


@pytest.mark.parametrize(
    ("more", "other", "why"),
    [
        ({"secret": "HOOK_OPS"}, {}, "is not there"),
        ({"secret": "DATABASE"}, {}, "FLOWER_HOOK_SECRETS"),
        ({}, {"hook_networks": ("public", "private")}, "FLOWER_HOOK_NETWORKS"),
    ],
)
async def test_what_may_not_be_is_not_sent_and_says_which_setting(
    hooked: Hooked, receiver: Receiver, more: dict[str, Any], other: dict[str, Any], why: str
) -> None:
    await hooked.hook("ops", receiver.url, **more)
    await note(hooked, "ops", "msg_1")
    await hooked.deliver(loop_with(hooked, **other))
    assert receiver.calls == []
    ((state, error),) = await hooked.ledger("state", "error")
    assert state == "waiting"
    assert why in error


@pytest.mark.parametrize("host", ["localhost", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]"])
async def test_whatever_a_host_is_called_it_is_judged_by_its_address(
    hooked: Hooked, receiver: Receiver, host: str
) -> None:
    await hooked.hook("ops", f"http://{host}:{receiver.port}/")
    await note(hooked, "ops", "msg_1")
    await hooked.deliver(loop_with(hooked, hook_networks=("public", "private")))
    assert receiver.calls == []
    ((error,),) = await hooked.ledger("error")
    assert "where webhooks may not go" in error


async def test_a_receiver_that_fails_is_tried_again_later_and_later_with_the_same_id(
    hooked: Hooked, receiver: Receiver, tables: Connection
) -> None:
    await hooked.hook("ops", receiver.url)
    statuses = iter([500, 503, 404, 204])
    receiver.answer = lambda _: (
        next(statuses),
        {"retry-after": "900"} if len(receiver.calls) == 2 else {},
        b"",
    )
    await note(hooked, "ops", "msg_1")
    waits: list[float] = []
    for _ in range(4):
        await hooked.deliver()
        ((wait,),) = await hooked.ledger("extract(epoch FROM next_ts - last_ts)::float")
        waits.append(wait)
        await tables.execute("UPDATE kr_hook_delivery SET next_ts = now() + '1 hour'::interval")
        await hooked.deliver()  # not due yet, however slow this machine is
        await make_due(tables)
    assert [call.id for call in receiver.calls] == ["msg_1"] * 4
    assert 3 < waits[0] < 12
    assert waits[1] >= 900
    assert 15 < waits[2] < 30
    assert await hooked.ledger("state", "attempts", "error") == [("delivered", 4, "")]


async def test_what_nobody_takes_for_a_day_is_given_up_and_may_be_sent_again_by_hand(
    hooked: Hooked, receiver: Receiver, tables: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    await hooked.hook("ops", receiver.url)
    receiver.answer = lambda _: (500, {}, b"oops")
    await note(hooked, "ops", "msg_1")
    await hooked.deliver()
    await tables.execute("UPDATE kr_hook_delivery SET since_ts = now() - interval '1 day'")
    await make_due(tables)
    await hooked.deliver()
    assert await hooked.ledger("state", "attempts", "status", "answer") == [("given_up", 2, 500, "oops")]
    assert "given up after 2 attempts" in caplog.text
    await make_due(tables)
    await hooked.deliver()
    assert len(receiver.calls) == 2
    receiver.answer = lambda _: (200, {}, b"")
    assert await deliver_again(tables, "msg_1")
    assert not await deliver_again(tables, "msg_2")
    await hooked.deliver()
    assert [call.id for call in receiver.calls] == ["msg_1"] * 3
    assert await hooked.ledger("state") == [("delivered",)]


async def test_a_receiver_that_is_gone_for_good_says_so(hooked: Hooked, receiver: Receiver) -> None:
    await hooked.hook("ops", receiver.url)
    receiver.answer = lambda _: (410, {}, b"")
    await note(hooked, "ops", "msg_1")
    await hooked.deliver()
    assert await hooked.ledger("state", "attempts") == [("given_up", 1)]


async def test_a_redirect_is_not_followed(hooked: Hooked, receiver: Receiver) -> None:
    with receiving() as other:
        await hooked.hook("ops", receiver.url)
        receiver.answer = lambda _: (307, {"location": other.url}, b"")
        await note(hooked, "ops", "msg_1")
        await hooked.deliver()
        assert other.calls == []
    ((state, error),) = await hooked.ledger("state", "error")
    assert state == "waiting"
    assert "follows no redirect" in error


async def test_a_receiver_that_is_not_there_or_speaks_no_http_is_borne_with(
    hooked: Hooked, receiver: Receiver
) -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    await hooked.hook("silent", f"http://127.0.0.1:{port}/")
    await hooked.hook("tls", f"https://127.0.0.1:{receiver.port}/")
    await hooked.hook("nobody", "http://127.0.0.1:1/")
    await hooked.hook("unknown", "http://no-such-host.invalid/")
    for name in ("silent", "tls", "nobody", "unknown"):
        await note(hooked, name, f"msg_{name}")
    await hooked.deliver()
    server.close()
    found = dict(await hooked.ledger("hook", "error"))
    assert {state for (state,) in await hooked.ledger("state")} == {"waiting"}
    assert "Connect call failed" in found["nobody"]
    assert re.search(r"response|Errno|reset", found["silent"])  # as it was cut off
    assert "SSL" in found["tls"]
    assert "not known" in found["unknown"]


async def test_the_certificates_of_all_authorities_are_read_for_https_alone(
    hooked: Hooked, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[ssl.SSLContext] = []
    read = httpx.create_ssl_context

    def noted() -> ssl.SSLContext:
        made.append(read())
        return made[-1]

    monkeypatch.setattr(httpx, "create_ssl_context", noted)
    loop = loop_with(hooked)
    await hooked.hook("plain", receiver.url)
    await hooked.hook("secured", f"https://127.0.0.1:{receiver.port}/")
    await note(hooked, "plain", "msg_1")
    await hooked.deliver(loop)
    assert await hooked.ledger("state") == [("delivered",)]
    assert made == []
    await note(hooked, "secured", "msg_2")
    await hooked.deliver(loop)
    assert [(one.verify_mode, one.check_hostname) for one in made] == [(ssl.CERT_REQUIRED, True)]
    ((error,),) = [row for row in await hooked.ledger("error") if row[0]]
    assert "SSL" in error


async def test_an_address_that_does_not_answer_leaves_time_for_the_others_of_its_host(
    hooked: Hooked, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def two_addresses(*_: object, **__: object) -> list[Any]:
        return [(None, None, None, "", (address, receiver.port)) for address in ("127.0.0.9", "127.0.0.1")]

    monkeypatch.setattr("flower_projector.hook_addresses.socket.getaddrinfo", two_addresses)
    with socket.socket() as full, contextlib.ExitStack() as waiting:
        full.bind(("127.0.0.9", receiver.port))
        full.listen(0)
        for _ in range(4):  # nobody accepts them: what comes next is not even refused
            one = waiting.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(("127.0.0.9", receiver.port))
        await hooked.hook("ops", f"http://two.example:{receiver.port}/")
        await note(hooked, "ops", "msg_1")
        await hooked.deliver(loop_with(hooked, hook_timeout_seconds=60.0))
    assert await hooked.ledger("state", "error") == [("delivered", "")]


async def test_a_day_in_which_nobody_tried_is_none_in_which_a_receiver_failed(
    hooked: Hooked, receiver: Receiver, tables: Connection
) -> None:
    await hooked.hook("ops", receiver.url)
    receiver.answer = lambda _: (500, {}, b"")
    await note(hooked, "ops", "msg_1")
    await hooked.deliver()
    # Its hook was paused, or no projector ran, for two days.
    await tables.execute(
        "UPDATE kr_hook_delivery SET since_ts = since_ts - '2 days'::interval,"
        " next_ts = now() - '2 days'::interval"
    )
    await hooked.deliver()
    assert await hooked.ledger("state", "attempts") == [("waiting", 2)]


async def test_a_date_to_come_again_is_kept_to(hooked: Hooked, receiver: Receiver) -> None:
    await hooked.hook("ops", receiver.url)
    until = formatdate(time.time() + 1_000, usegmt=True)
    receiver.answer = lambda _: (429, {"retry-after": until}, b"")
    await note(hooked, "ops", "msg_1")
    await hooked.deliver()
    ((wait,),) = await hooked.ledger("extract(epoch FROM next_ts - last_ts)::float")
    assert wait > 900


async def test_a_receiver_that_hangs_holds_up_no_other_and_is_cut_off_in_time(
    hooked: Hooked, receiver: Receiver, tables: Connection
) -> None:
    with receiving() as healthy:
        await hooked.hook("hangs", receiver.url)
        await hooked.hook("well", healthy.url)
        receiver.answer = receiver.hang
        await note(hooked, "hangs", *(f"msg_h{number}" for number in range(20)))
        await note(hooked, "well", *(f"msg_w{number}" for number in range(20)))
        while len(healthy.calls) < 20 or len(receiver.calls) < 4:
            await hooked.deliveries.run_once()
            await asyncio.sleep(0.01)
        assert len(receiver.calls) == 4  # and no more, until these are over
        receiver.released.set()
        await settle(hooked.deliveries)
        await hooked.deliver()
        receiver.released.clear()
        short = loop_with(hooked, hook_timeout_seconds=0.2)
        await make_due(tables)
        await hooked.deliver(short)
        await short.close()
        errors = {error for (error,) in await hooked.ledger("error")}
        assert "no whole answer within 0.2 s" in errors


async def test_an_answer_that_trickles_is_cut_off_too(hooked: Hooked) -> None:
    async def drip(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2000\r\n\r\n")
        for _ in range(2_000):
            writer.write(b"x")
            try:
                await writer.drain()
            except OSError:
                break
            await asyncio.sleep(0.05)
        writer.close()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    await hooked.hook("ops", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    await note(hooked, "ops", "msg_1")
    await hooked.deliver(loop_with(hooked, hook_timeout_seconds=0.3))
    server.close()
    assert await hooked.ledger("state", "error") == [("waiting", "no whole answer within 0.3 s")]


async def test_two_projectors_deliver_each_thing_once(hooked: Hooked, receiver: Receiver) -> None:
    await hooked.hook("ops", receiver.url)
    await note(hooked, "ops", *(f"msg_{number}" for number in range(40)))
    loops = [loop_with(hooked) for _ in range(2)]
    while len(receiver.calls) < 40:
        await asyncio.gather(*(loop.run_once() for loop in loops))
        await asyncio.gather(*(settle(loop) for loop in loops))
    for loop in loops:
        await loop.close()
    assert len({call.id for call in receiver.calls}) == len(receiver.calls) == 40
    assert {state for (state,) in await hooked.ledger("state")} == {"delivered"}


async def test_what_waits_for_a_hook_that_is_gone_is_given_up_and_for_a_paused_one_waits(
    hooked: Hooked, receiver: Receiver, tables: Connection
) -> None:
    await hooked.hook("gone", receiver.url)
    await hooked.hook("paused", receiver.url, is_paused=True)
    await note(hooked, "gone", "msg_1")
    await note(hooked, "paused", "msg_2")
    await tables.execute("DELETE FROM ms_hook WHERE name = 'gone'")
    await hooked.deliver()
    assert receiver.calls == []
    assert await hooked.ledger("hook", "state") == [("gone", "given_up"), ("paused", "waiting")]
    await tables.execute("UPDATE ms_hook SET is_paused = false")
    await hooked.deliver()
    assert [call.id for call in receiver.calls] == ["msg_2"]


# Commands


def script(folder: Path, text: str, name: str = "tell") -> Path:
    path = folder / name
    path.write_text("#!/bin/sh\n" + textwrap.dedent(text))
    path.chmod(0o755)
    return path


async def test_a_command_gets_the_body_on_its_input_and_nothing_of_the_services_environment(
    hooked: Hooked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLOWER_DATABASE_URL", "postgresql://u:secret@h/d")
    path = script(tmp_path, f"cat > {tmp_path}/body; env; pwd; echo $#; exit 0")
    await hooked.hook("ops", "tell", kind="command")
    await note(hooked, "ops", "msg_1")
    await hooked.deliver(loop_with(hooked, hook_commands=(f"tell={path}",)))
    ((state, status, answer, body),) = await hooked.ledger("state", "status", "answer", "body")
    assert (state, status) == ("delivered", 0)
    assert (tmp_path / "body").read_text() == body
    names = {line.partition("=")[0] for line in answer.splitlines() if "=" in line}
    assert names <= {"PATH", "LANG", "PWD", "_", "SHLVL", "OLDPWD"}
    assert answer.splitlines()[-2:] == ["/", "0"]


async def test_a_command_that_nobody_allowed_is_not_run(hooked: Hooked, tmp_path: Path) -> None:
    await hooked.hook("named", "tell", kind="command")
    await hooked.hook("path", str(script(tmp_path, f"touch {tmp_path}/ran")), kind="command")
    await note(hooked, "named", "msg_1")
    await note(hooked, "path", "msg_2")
    await hooked.deliver(loop_with(hooked, hook_commands=(f"other={tmp_path}/tell",)))
    assert not (tmp_path / "ran").exists()
    ((error,), _) = await hooked.ledger("error")
    assert "FLOWER_HOOK_COMMANDS" in error


@pytest.mark.parametrize(
    ("text", "seconds", "error"),
    [
        ("echo no; exit 3", 60.0, "exit status 3"),
        ("kill -9 $$", 60.0, "killed by signal 9"),
        ("exec sleep 1000", 1.0, "killed: it took more than 1 s"),
        ("sleep 1000 & sleep 1000", 1.0, "killed: it took more than 1 s"),
        ("head -c 3000000 /dev/zero; exit 4", 60.0, "exit status 4"),
    ],
)
async def test_a_command_that_fails_is_tried_again(
    hooked: Hooked, tmp_path: Path, text: str, seconds: float, error: str
) -> None:
    await hooked.hook("ops", "tell", kind="command")
    await note(hooked, "ops", "msg_1")
    commands = (f"tell={script(tmp_path, text)}",)
    loop = loop_with(hooked, hook_commands=commands, hook_timeout_seconds=seconds)
    await hooked.deliver(loop)
    assert await hooked.ledger("state", "error") == [("waiting", error)]


async def test_a_command_that_cannot_be_run_says_why(hooked: Hooked, tmp_path: Path) -> None:
    await hooked.hook("ops", "tell", kind="command")
    await note(hooked, "ops", "msg_1")
    await hooked.deliver(loop_with(hooked, hook_commands=(f"tell={tmp_path}/nothing",)))
    ((error,),) = await hooked.ledger("error")
    assert "cannot be run" in error


async def test_what_a_command_leaves_behind_holds_up_nothing(hooked: Hooked, tmp_path: Path) -> None:
    path = script(tmp_path, f"sleep 1000 & echo $! > {tmp_path}/pid; echo done; exit 0")
    await hooked.hook("ops", "tell", kind="command")
    await note(hooked, "ops", "msg_1")
    await hooked.deliver(loop_with(hooked, hook_commands=(f"tell={path}",)))
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    assert await hooked.ledger("state", "answer") == [("delivered", "done\n")]


# Python functions


async def test_a_function_that_is_registered_is_called_and_no_other(hooked: Hooked) -> None:
    seen: list[dict[str, Any]] = []

    @python_hook("test-plain")
    def plain(notification: dict[str, Any]) -> str:
        seen.append(notification)
        return "noted"

    @python_hook("test-async")
    async def waiting(notification: dict[str, Any]) -> None:
        await asyncio.sleep(0)
        seen.append(notification)

    @python_hook("test-fails")
    def fails(_: dict[str, Any]) -> None:
        raise ValueError("no")

    @python_hook("test-fatal")
    def fatal(_: dict[str, Any]) -> None:
        raise Fatal("never")

    @python_hook("test-exits")
    def exits(_: dict[str, Any]) -> None:
        sys.exit(3)

    @python_hook("test-cancels")
    def cancels(_: dict[str, Any]) -> None:
        raise asyncio.CancelledError("by itself")

    for name in ("plain", "async", "fails", "fatal", "exits", "cancels", "unknown"):
        await hooked.hook(name, f"test-{name}", kind="python")
        await note(hooked, name, f"msg_{name}")
    await hooked.hook("module", "os.abort", kind="python")
    await note(hooked, "module", "msg_module")
    await hooked.deliver()
    found = {
        hook: (state, answer or error)
        for hook, state, answer, error in await hooked.ledger("hook", "state", "answer", "error")
    }
    assert found["plain"] == ("delivered", "noted")
    assert found["async"] == ("delivered", "")
    assert found["fails"] == ("waiting", "ValueError: no")
    assert found["fatal"] == ("given_up", "Fatal: never")
    assert found["exits"] == ("waiting", "SystemExit: 3")
    assert found["cancels"] == ("waiting", "RuntimeError: CancelledError: by itself")
    assert found["unknown"][0] == found["module"][0] == "waiting"
    assert "FLOWER_HOOK_MODULES" in found["unknown"][1]
    assert [one["id"] for one in seen] == ["x", "x"]


async def test_a_function_that_hangs_keeps_a_few_threads_and_no_more(
    hooked: Hooked, tables: Connection
) -> None:
    released = threading.Event()
    calls: list[int] = []

    @python_hook("test-hangs")
    def hangs(_: dict[str, Any]) -> None:
        calls.append(1)
        released.wait()

    await hooked.hook("ops", "test-hangs", kind="python")
    await note(hooked, "ops", *(f"msg_{number}" for number in range(9)))
    loop = loop_with(hooked, hook_timeout_seconds=0.2)
    for _ in range(6):
        await hooked.deliver(loop)
        await make_due(tables)
    while len(calls) < 4:  # noqa: ASYNC110 # what was given to a thread may not have begun
        await asyncio.sleep(0.01)
    errors = {error for (error,) in await hooked.ledger("error")}
    assert "4 calls of it have not come back" in errors
    assert len(calls) == 4
    released.set()
    deadline = time.monotonic() + 60
    while "delivered" not in {state for (state,) in await hooked.ledger("state")}:
        assert time.monotonic() < deadline
        await make_due(tables)
        await hooked.deliver(loop)


def test_a_module_that_does_not_import_ends_the_projector_and_is_named(settings: Settings) -> None:
    environment = {**os.environ, **settings.as_environment(), "FLOWER_HOOK_MODULES": "no_such_module"}
    ended = subprocess.run(
        [sys.executable, "-m", "flower_cli", "projector"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert "no_such_module" in ended.stderr and "FLOWER_HOOK_MODULES" in ended.stderr


def test_settings_of_hooks_go_on_to_child_processes() -> None:
    settings = load_settings(hook_commands="a=/bin/a,b=/bin/b", hook_networks="public,10.0.0.0/8")
    assert settings.as_environment() | {"x": ""} == {
        "FLOWER_HOOK_COMMANDS": "a=/bin/a,b=/bin/b",
        "FLOWER_HOOK_NETWORKS": "public,10.0.0.0/8",
        "x": "",
    }


def test_a_receiver_checks_signatures_by_itself() -> None:
    call = Call(
        "/", {"webhook-id": "a", "webhook-timestamp": str(int(time.time())), "webhook-signature": ""}, b""
    )
    assert not is_signed(call, SECRET)
