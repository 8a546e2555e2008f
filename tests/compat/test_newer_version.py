"""What a newer version wrote is refused by name, with what to do, and nothing of it is touched."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

import flower_api.service
import flower_projector.service
import flower_watcher.service
import flower_worker.service
from api.serving import RunningApi, details
from flower_engine.errors import FlowerError, InstallationError, NewerEventError
from flower_engine.log.client import send
from flower_engine.log.partition import STATE_VERSION
from flower_engine.own_version import own_version
from flower_engine.runtime.gap_bridge import bridge_gaps
from flower_engine.runtime.loss_recovery import recover_lost
from flower_engine.runtime.retention import prune_older
from flower_engine.runtime.settings import Settings
from flower_schema import migrations
from recovery.both import Both
from recovery.command import flower
from scripts.engine import chain

NEWER_MIGRATION = "INSERT INTO flower_migration (name, sha256) VALUES ('0999_later', 'x')"
NEWER_EVENT = b'{"type":"task.teleported","at":%d,"flow":"%s","v":3,"task":1,"where":"elsewhere"}'
Serve = Callable[[Settings, asyncio.Event], Awaitable[None]]
WITH_TABLES = (flower_api.service.serve, flower_projector.service.serve)
ALL = (*WITH_TABLES, flower_watcher.service.serve, flower_worker.service.serve)


def tell(_what: str, _done: int, _total: int) -> None:
    """Nobody listens."""


async def ends(serve: Serve, settings: Settings) -> FlowerError:
    """How a service that is started ends by itself."""
    with pytest.raises(FlowerError) as raised:
        await asyncio.wait_for(serve(settings.model_copy(update={"port": 0}), asyncio.Event()), 60)
    return raised.value


def names(error: FlowerError | str, *words: str) -> bool:
    """Whether an error names these, this version, and what to do."""
    return all(word in str(error) for word in (*words, own_version(), "pgrade this service", "to go back"))


@pytest.mark.parametrize("serve", WITH_TABLES, ids=lambda serve: serve.__module__)
async def test_tables_of_a_newer_version_end_services(serve: Serve, both: Both, settings: Settings) -> None:
    await both.connection.execute(NEWER_MIGRATION)
    error = await ends(serve, settings)
    assert isinstance(error, InstallationError)
    assert names(error, "0999_later", migrations()[-1].name)


async def test_commands_leave_tables_of_a_newer_version_alone(both: Both, settings: Settings) -> None:
    await both.connection.execute(NEWER_MIGRATION)
    code, text = await flower(settings, "replay", words=99)
    assert (code, "Traceback" in text, names(text, "0999_later")) == (1, False, True), text
    assert settings.database_url is not None
    for work in (
        recover_lost(both.client, settings, tell, force=True),
        bridge_gaps(both.client, settings.database_url, tell),
        prune_older(both.client, both.connection, 86_400),
    ):
        with pytest.raises(InstallationError) as raised:
            await work
        assert names(raised.value, "0999_later")


@pytest.mark.parametrize("serve", ALL, ids=lambda serve: serve.__module__)
async def test_keys_of_a_newer_layout_end_services(serve: Serve, both: Both, settings: Settings) -> None:
    await send(both.client, "HSET", both.engine.keys.meta, "state_version", "2")
    error = await ends(serve, settings)
    assert isinstance(error, InstallationError)
    assert names(error, "partition 0", "layout 2", "layout 1", "flower recover --force")


async def test_commands_leave_keys_of_a_newer_layout_alone(both: Both, settings: Settings) -> None:
    await both.engine.register(*chain(1))
    await both.engine.work_off()
    await both.project()
    await both.connection.execute("UPDATE kr_flow_stat SET finished_ts = finished_ts - interval '9 days'")
    await send(both.client, "HSET", both.engine.keys.meta, "state_version", "2")
    before = await both.copy()
    assert settings.database_url is not None
    for work in (
        recover_lost(both.client, settings, tell),
        bridge_gaps(both.client, settings.database_url, tell),
        prune_older(both.client, both.connection, 86_400),
    ):
        with pytest.raises(InstallationError) as raised:
            await work
        assert names(raised.value, "layout 2", "layout 1")
    assert await both.copy() == before


async def test_going_back_makes_the_keys_anew_from_the_archive(both: Both, settings: Settings) -> None:
    flow = await both.engine.register(*chain(2))
    await both.project()
    meta = both.engine.keys.meta
    await send(both.client, "HSET", meta, "state_version", "2")
    await send(both.client, "SET", both.engine.keys.meta.replace("meta", "of-the-newer-layout"), "x")
    code, text = await flower(settings, "verify", words=99)
    assert (code, "Traceback" in text, names(text, "layout 2")) == (1, False, True), text
    (recovered,) = await recover_lost(both.client, settings, tell, force=True)
    assert recovered.flows == 1
    assert await send(both.client, "HGET", meta, "state_version") == STATE_VERSION.encode()
    assert "of-the-newer-layout" not in await both.engine.key_names()
    await both.take_up()
    assert [claim.flow for claim in await both.engine.work_off()] == [flow, flow]
    await both.check()


async def test_what_a_new_installation_notes_is_what_this_version_knows(both: Both) -> None:
    held = await send(both.client, "HGET", both.engine.keys.meta, "state_version")
    assert held == STATE_VERSION.encode()


async def test_the_projector_stops_in_front_of_a_newer_event(both: Both, settings: Settings) -> None:
    flow = await both.engine.register(*chain(2))
    await send(both.client, "XADD", both.engine.keys.log, "*", "e", NEWER_EVENT % (1, flow.encode()))
    error = await ends(flower_projector.service.serve, settings)
    assert isinstance(error, NewerEventError)
    assert names(error, "partition 0", "task.teleported")
    assert await both.count("SELECT count(*) FROM kr_flow_stat") == 1, "all before it is projected"


async def _archive_a_newer_event(both: Both) -> str:
    """A flow under way of which a newer projector has archived more than this version knows."""
    flow = await both.engine.register(*chain(2))
    await both.engine.claim(1)
    await both.project()
    await both.connection.execute(
        "INSERT INTO kr_event (partition, position_ms, position_seq, task_flow_id, type, event)"
        " SELECT partition, last_ms, 9, task_flow_id, 'task.teleported', %s::jsonb FROM kr_flow_stat",
        [(NEWER_EVENT % (1, flow.encode())).decode()],
    )
    return flow


async def test_a_recovery_that_would_lose_a_flow_changes_nothing(both: Both, settings: Settings) -> None:
    flow = await _archive_a_newer_event(both)
    before = await both.copy()
    with pytest.raises(NewerEventError) as raised:
        await recover_lost(both.client, settings, tell, force=True)
    assert names(raised.value, flow, "task.teleported", "Nothing was changed")
    assert await both.copy() == before
    await both.wipe()
    error = await ends(flower_projector.service.serve, settings.model_copy(update={"auto_recover": True}))
    assert names(error, flow, "task.teleported")


async def test_verify_and_replay_name_a_flow_with_a_newer_event(both: Both, settings: Settings) -> None:
    flow = await _archive_a_newer_event(both)
    verified, replayed = await asyncio.gather(
        flower(settings, "verify", words=99), flower(settings, "replay", words=99)
    )
    for (code, text), expected in ((verified, 1), (replayed, 0)):
        said = (code, "Traceback" in text, names(text, flow, "task.teleported"))
        assert said == (expected, False, True), text
    assert await both.count("SELECT count(*) FROM kr_flow_stat WHERE exec_status = 1") == 1


async def test_the_api_says_that_a_newer_version_wrote_it(own_api: RunningApi) -> None:
    own_api.define("etl", {}, {})
    flow = own_api.register("etl")
    async with own_api.engine() as engine:
        await engine.work_off()
    await own_api.project()
    own_api.sql(
        "INSERT INTO kr_event (partition, position_ms, position_seq, task_flow_id, type, event)"
        " SELECT partition, last_ms, 9, task_flow_id, 'task.teleported', %s::jsonb FROM kr_flow_stat",
        (NEWER_EVENT % (1, flow.encode())).decode(),
    )
    for reply in (
        own_api.client.post(f"/flows/{flow}/rerun", json={"selection": "all"}),
        own_api.client.get(f"/flows/{flow}", params={"at": "2100-01-01T00:00:00Z"}),
    ):
        assert reply.status_code == 409
        assert names(details(reply)[0], flow, "task.teleported")
