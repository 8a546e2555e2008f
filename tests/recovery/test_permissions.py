"""Flower needs the permissions that it says it needs: with these alone everything works."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import pytest

from flower_engine.errors import StoreRefusedError
from flower_engine.insight.backlog import count_projected, is_postgres_behind, read_backlogs
from flower_engine.insight.overview import read_overview
from flower_engine.log.client import connect, connect_blocking, send, send_blocking
from flower_engine.log.keys import Keys
from flower_engine.log.reader import wait_for_log
from flower_engine.log.redis_permissions import (
    KEY_PATTERN,
    NEEDED,
    TRANSACTIONS,
    USEFUL,
    refuse_missing_permissions,
)
from flower_engine.model.flow_control.flow_control import FlowControl
from flower_engine.model.tasks.task_spec import RetryPolicy
from flower_engine.projection.write.projected_positions import read_positions
from flower_engine.transitions.operator_transitions import cancel
from flower_engine.transitions.watcher_transitions import trim
from flower_engine.transitions.worker_transitions import Service, leave, live_workers, wait_for_bell
from recovery.both import Both
from scripts.engine import chain, fan, task

ROOT = Path(__file__).parents[2]
_USER = "limited"
_IN_LUA = re.compile(r"(?:call|pcall|call_chunked)\('([A-Z]+)'(?:, *'([A-Z]+)')?")
_IN_PYTHON = re.compile(r"\"([A-Z]+)(?: ([A-Z]+))?\"")
_NO_SERVICES = (
    "flower_bench",
    "embedded",
    "testing",
)  # they ask for more, of a server of their own or where they may


def _allow(url: str, names: Sequence[str]) -> str:
    """The address of a user who may do only this."""
    rules = [f"+{name}" for name in names]
    with connect_blocking(url) as admin:
        send_blocking(admin, "ACL SETUSER", _USER, "reset", "on", "nopass", f"~{KEY_PATTERN}", *rules)
        send_blocking(admin, "ACL LOG", "RESET")
    return url.replace("unix://", f"unix://{_USER}:any@")


@pytest.fixture
def admin_url(valkey_url: str) -> Iterator[str]:
    with connect_blocking(valkey_url) as admin:
        send_blocking(admin, "FLUSHDB")
        yield valkey_url
        send_blocking(admin, "ACL DELUSER", _USER)


@pytest.fixture
def redis_url(admin_url: str) -> str:
    """As the user who may do what Flower says that it needs, and nothing else."""
    return _allow(admin_url, [*NEEDED, *TRANSACTIONS])


def _used(known: set[str]) -> set[str]:
    """Every command that scripts and services name, as ACL rules name it; ``known``: all that there are."""
    found: set[tuple[str, str]] = set()
    for file in (ROOT / "shared/flower_engine/transitions/lua").glob("*/*.lua"):
        found |= set(_IN_LUA.findall(file.read_text()))
    for folder in ("shared", "services"):
        for file in (ROOT / folder).rglob("*.py"):
            text = file.read_text()
            if "flower_engine.log.client import" in text and not set(file.parts) & set(_NO_SERVICES):
                found |= set(_IN_PYTHON.findall(text))
    found.discard(("SELECT", "1"))
    names = {f"{command}|{sub}".lower().removesuffix("|") for command, sub in found}
    return {name if name in known else name.partition("|")[0] for name in names} & known


def test_every_command_that_scripts_and_services_use_is_in_the_list_and_no_other(admin_url: str) -> None:
    with connect_blocking(admin_url) as admin:
        described = cast(dict[str, object], send_blocking(admin, "COMMAND"))
        known = {str(name).lower() for name in described}
        with_subcommands: set[str] = set()
        for name in ("config", "memory", "xgroup", "xinfo", "client"):
            listed = cast(
                list[bytes], send_blocking(admin, "COMMAND LIST", "FILTERBY", "PATTERN", f"{name}|*")
            )
            with_subcommands |= {sub.decode() for sub in listed}
    known = (known | with_subcommands) - {sub.partition("|")[0] for sub in with_subcommands}
    # By the library, and by connections to a cluster as they look for their server.
    by_the_library = {"select", "client|setinfo", "cluster|slots"}
    assert _used(known) | set(TRANSACTIONS) == {*NEEDED, *TRANSACTIONS, *USEFUL} - by_the_library


def test_the_documents_have_the_list(admin_url: str) -> None:
    text = (ROOT / "docs" / "operations.md").read_text()
    section = text.partition("## What Flower may do in Redis")[2].partition("\n## ")[0]
    block, rest = section.split("```")[1:]
    assert set(re.findall(r"\+([a-z|]+)", block)) == {*NEEDED, *TRANSACTIONS}
    assert f"~{KEY_PATTERN}" in block
    rows = re.findall(r"^\| `\+([^`]+)` \| (.*) \|$", rest, re.MULTILINE)
    assert {name.replace("\\", ""): words for name, words in rows} == USEFUL


async def test_with_these_permissions_alone_all_of_an_engines_work_is_done(
    both: Both, admin_url: str
) -> None:
    """Register, run, heartbeat, lapse, retry, limits, operate, project, trim, look, lose, recover, verify."""
    engine, partition = both.engine, both.engine.partition
    await refuse_missing_permissions(both.client)
    await engine.control(FlowControl(scope="program", name="A", max_running=50, rate=1_000))
    flow = await engine.register(*chain(3), workflow="etl")
    await engine.register_many(5, *fan(100), workflow="wide")
    await engine.register(task(1, retry=RetryPolicy(max_attempts=2, delay_ms=1)), workflow="retried")
    (first, *others) = await engine.claim(3)
    engine.heartbeat("w1", first, *others)
    await engine.finish(first)
    await engine.fail(*others)
    await engine.lose(*await engine.claim(2, worker="w2"), worker="w2")
    await engine.tick()
    assert len((await engine.lapse()).lapses) == 2
    await engine.bring_due()
    await engine.control()
    await wait_for_bell(both.client, partition, Service(("default",), ("A",)), 0.01)
    await wait_for_log(both.client, partition, None, 10)
    await live_workers(both.client, partition)
    await read_overview(both.client, partition)
    await read_backlogs(both.client, [partition])
    await is_postgres_behind(both.client, 0, None)
    await both.project()
    (row,) = await read_positions(both.connection)
    position = row.position or ""
    count = await count_projected(both.client, partition, position)
    await trim(both.client, partition, keep_from="0-1", archived=position, ended_keep_ms=0, projected=count)
    await both.check()
    with connect_blocking(admin_url) as admin:
        send_blocking(admin, "FLUSHDB")
    await both.recover()
    await both.check()
    await cancel(both.client, engine.partition, flow, by="ann", reason="")
    await engine.work_off()
    await leave(both.client, engine.partition, "w1", ["default"])
    await both.check()
    with connect_blocking(admin_url) as admin:
        denied = {entry["object"] for entry in send_blocking(admin, "ACL LOG")}
    assert denied <= set(USEFUL)  # which is tried, and done without


async def test_what_is_missing_is_named_all_at_once(admin_url: str) -> None:
    missing = ["memory|usage", "xgroup|create", "zadd"]
    url = _allow(admin_url, [*(name for name in NEEDED if name not in missing), *TRANSACTIONS])
    async with connect(url) as client:
        with pytest.raises(StoreRefusedError) as refused:
            await refuse_missing_permissions(client)
        assert "+memory|usage +xgroup|create +zadd ~{flower:*}:*" in str(refused.value)
        assert "docs/operations.md" in str(refused.value)


async def test_trying_leaves_nothing_behind(admin_url: str) -> None:
    async with connect(admin_url) as client:
        await send(client, "SET", Keys(0).awaited, "as it was")
        await refuse_missing_permissions(client)
        assert await send(client, "KEYS", "*") == [Keys(0).awaited.encode()]
        assert await send(client, "GET", Keys(0).awaited) == b"as it was"


@pytest.mark.parametrize("missing", TRANSACTIONS)
async def test_nothing_is_carried_out_where_it_cannot_be_queued(admin_url: str, missing: str) -> None:
    url = _allow(admin_url, [*NEEDED, *(name for name in TRANSACTIONS if name != missing)])
    async with connect(url) as client:
        with pytest.raises(StoreRefusedError, match=rf"give it \+{missing} ~"):
            await refuse_missing_permissions(client)
    with connect_blocking(admin_url) as admin:
        assert send_blocking(admin, "KEYS", "*") == []
