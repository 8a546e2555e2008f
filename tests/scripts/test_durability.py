"""What is held out of an acknowledged registration is what the server keeps, or it is refused at start."""

import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from flower_engine.embedded.home import Home
from flower_engine.embedded.valkey import EmbeddedValkey
from flower_engine.errors import SettingsError
from flower_engine.log import client as client_module
from flower_engine.log import durability
from flower_engine.log.client import AsyncRedis, connect, send
from flower_engine.log.durability import Level, settle_level
from flower_engine.log.partition import Partition
from flower_engine.model.definitions.definition import TaskDefinition, WorkflowDefinition, plan_flow
from flower_engine.model.values.ids import make_flow_id
from flower_engine.transitions.installation_transitions import install
from flower_engine.transitions.register_transition import FlowPlan, Registered, Start, register
from held_port import held_port

PATIENCE_MS = 60_000
FSYNCED = Level("fsynced", ("WAITAOF", 1, 0, PATIENCE_MS))
REPLICATED = Level("replicated", ("WAIT", 1, PATIENCE_MS), "fsynced")
_ETL = WorkflowDefinition(name="etl", tasks=(TaskDefinition(task_seq=1, program="A"),))


class Servers:
    """A Valkey of the test's own, as embedded (append-only, synced always), and more of them."""

    def __init__(self) -> None:
        self._stack = ExitStack()

    def start(self) -> str:
        folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="flower-tests-"))
        home = self._stack.enter_context(Home(Path(folder)))
        server = EmbeddedValkey(home, durable=True)
        self._stack.callback(server.stop)
        return server.start()

    def stop(self) -> None:
        self._stack.close()


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    servers = Servers()
    yield servers
    servers.stop()


@pytest.fixture(scope="module")
def url(servers: Servers) -> str:
    return servers.start()


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a busy disk or a busy replica takes seconds for is waited for."""
    monkeypatch.setattr(client_module, "REPLY_TIMEOUT_SECONDS", 2 * PATIENCE_MS / 1000)
    monkeypatch.setattr(durability, "_WAIT_MS", PATIENCE_MS)
    monkeypatch.setattr(durability, "REPLICA", REPLICATED.wait)


@pytest.fixture
async def client(url: str, _patience: None) -> AsyncIterator[AsyncRedis]:
    async with connect(url) as client:
        await send(client, "FLUSHALL")
        await send(client, "REPLICAOF", "NO", "ONE")
        await _set(client, appendonly="yes", appendfsync="always")
        yield client


async def _set(client: AsyncRedis, **settings: str) -> None:
    for name, value in settings.items():
        await send(client, "CONFIG SET", name, value)


async def _register(client: AsyncRedis, level: Level) -> Registered:
    meta = await install(client, 0, "test", 1)
    partition = Partition(0, meta.installation, meta.generation)
    plan = FlowPlan("etl", plan_flow(_ETL))
    start = Start(make_flow_id(1_700_000_000_000, 0, int.from_bytes(os.urandom(8))), plan)
    (registered,) = await register(client, partition, [start], level)
    return registered


async def test_a_server_that_syncs_always_needs_no_waiting(client: AsyncRedis) -> None:
    for wanted in (None, "fsynced"):
        assert await settle_level(client, wanted) == Level("fsynced")
    assert await settle_level(client, "memory") == Level("memory")
    assert (await _register(client, Level("fsynced"))).durability == "fsynced"


async def test_without_being_asked_for_more_it_says_what_the_server_gives(client: AsyncRedis) -> None:
    await _set(client, appendfsync="everysec")
    assert await settle_level(client, None) == Level("memory")
    await _set(client, appendfsync="always", appendonly="no")
    assert await settle_level(client, None) == Level("memory")


async def test_fsynced_is_refused_where_nothing_is_written_to_disk(client: AsyncRedis) -> None:
    await _set(client, appendonly="no")
    with pytest.raises(SettingsError, match="appendonly yes and appendfsync always"):
        await settle_level(client, "fsynced")


async def test_fsynced_is_refused_where_the_system_decides_when_to_sync(
    client: AsyncRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(durability, "_WAIT_MS", 200)
    await _set(client, appendfsync="no")
    with pytest.raises(SettingsError, match="FLOWER_DURABILITY is fsynced"):
        await settle_level(client, "fsynced")


async def test_under_everysec_a_confirmation_is_believed_only_where_it_takes_its_time(
    client: AsyncRedis,
) -> None:
    await _set(client, appendfsync="everysec")
    try:
        level = await settle_level(client, "fsynced")
    except SettingsError as error:
        assert "faster than they can have been synced" in str(error)  # either is right
    else:
        assert level == FSYNCED
        assert (await _register(client, level)).durability == "fsynced"


async def test_what_nobody_confirmed_in_time_is_in_memory_and_says_so(client: AsyncRedis) -> None:
    quick = Level("replicated", ("WAIT", 1, 50))
    registered = await _register(client, quick)
    assert (registered.word, registered.durability) == ("ok", "memory")
    await _set(client, appendonly="no")
    quick = Level("fsynced", ("WAITAOF", 1, 0, 50))
    assert (await _register(client, quick)).durability == "memory"


async def test_replicated_without_a_replica_degrades_says_so_and_holds_again_with_one(
    client: AsyncRedis, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a failover that left one node: the API starts, and each reply says what held."""
    with monkeypatch.context() as impatience:
        impatience.setattr(durability, "REPLICA", ("WAIT", 1, 50))
        level = await settle_level(client, "replicated")
    assert level.doubt is not None and "no replica of Redis confirmed" in level.doubt
    assert (await _register(client, level)).durability == "fsynced"  # which the one node does keep
    await send(client, "CONFIG", "SET", "repl-diskless-sync-delay", 0)  # it waits for no second replica
    with held_port() as port:
        await _replicates(client, servers, port)


async def _replicates(client: AsyncRedis, servers: Servers, port: int) -> None:
    await _set(client, port=str(port))
    async with connect(servers.start()) as replica:
        await send(replica, "REPLICAOF", "127.0.0.1", port)
        while not await send(client, "WAIT", 1, 100):
            pass
        assert await settle_level(client, "replicated") == REPLICATED
        registered = await _register(client, REPLICATED)
        assert registered.durability == "replicated"
        assert await send(replica, "EXISTS", "{flower:0}:flow:" + registered.flow)


async def test_a_service_that_has_begun_goes_on_with_a_server_that_keeps_less(client: AsyncRedis) -> None:
    await _set(client, appendonly="no")
    level = await settle_level(client, "fsynced", is_start=False)
    assert level.doubt is not None and "appendfsync always" in level.doubt
    assert (await _register(client, level)).durability == "memory"


async def test_without_waitaof_the_refusal_says_that_and_not_that_nobody_confirmed(
    client: AsyncRedis, url: str
) -> None:
    await _set(client, appendfsync="everysec")
    await send(client, "ACL SETUSER", "no-waitaof", "on", "nopass", "~*", "+@all", "-waitaof")
    async with connect(url.replace("unix://", "unix://no-waitaof:any@")) as other:
        with pytest.raises(SettingsError, match="may not use WAITAOF"):
            await settle_level(other, "fsynced")
