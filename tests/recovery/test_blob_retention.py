"""Blobs that no flow uses go, after a week; those that a flow uses, in any event of its, stay."""

import hashlib
import io
import os
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from flower_engine.blobs.filesystem_store import FilesystemStore
from flower_engine.log.client import send
from flower_engine.model.values.blob_ref import BlobRef
from flower_engine.projection.blobs.contents import add_chunk, complete, find
from flower_engine.projection.blobs.uses import blobs_in
from flower_engine.projection.maintain.replay import Selection, rebuild_tables
from flower_engine.projection.maintain.table_comparison import find_differences, swap_in
from flower_engine.runtime.blob_retention import PrunedBlobs, prune_blobs
from flower_engine.runtime.retention import prune_older
from recovery.both import Both
from scripts.engine import task

DAY_SECONDS = 86_400


async def stored(both: Both, content: bytes, *, days: int = 8) -> BlobRef:
    """A blob in Postgres that was touched so many days ago."""
    sha256, upload = hashlib.sha256(content).hexdigest(), uuid4()
    await add_chunk(both.connection, upload, 0, content)
    await complete(both.connection, sha256, upload, len(content))
    await both.connection.execute(
        "UPDATE kr_blob SET touched_ts = now() - %s * interval '1 day' WHERE sha256 = %s", [days, sha256]
    )
    return BlobRef(sha256=sha256, bytes=len(content), store="api")


async def is_there(both: Both, ref: BlobRef) -> bool:
    return await find(both.connection, ref.sha256) is not None


async def prune(both: Both, *stores: FilesystemStore) -> PrunedBlobs:
    return await prune_blobs(both.engine.client, both.connection, stores)


async def uses(both: Both) -> set[tuple[str, str]]:
    rows = await both.connection.execute("SELECT sha256, task_flow_id FROM kr_blob_use")
    return {(sha256, flow) async for sha256, flow in rows}


async def flow_with(both: Both, stored: BlobRef | None = None, result: Any = None, **parameters: Any) -> str:
    """A flow that ended, with a result that lies in a blob, or is this."""
    flow = await both.engine.register(task(1, parameters=parameters))
    (claim,) = await both.engine.claim()
    if stored is not None:
        await both.engine.store(claim, payload=msgspec.json.encode(stored))
    else:
        await both.engine.finish(claim, payload=msgspec.json.encode(result))
    return flow


async def test_what_a_flow_uses_stays_and_what_none_uses_goes(both: Both) -> None:
    refs = {name: await stored(both, name.encode()) for name in ("result", "part", "parameter", "unused")}
    refs["fresh"] = await stored(both, b"fresh", days=6)
    inside = {name: {"$blob": msgspec.to_builtins(ref)} for name, ref in refs.items()}
    await flow_with(both, refs["result"])
    await flow_with(both, result={"a": [1, inside["part"]]})
    await flow_with(both, file=inside["parameter"])
    await both.project()
    pruned = await prune(both)
    assert (pruned.count, pruned.size) == (1, len(b"unused"))
    assert {name for name, ref in refs.items() if not await is_there(both, ref)} == {"unused"}
    assert await both.count("SELECT count(*) FROM kr_blob_chunk") == 4


async def test_what_is_not_projected_yet_may_be_used(both: Both) -> None:
    await both.project()
    ref = await stored(both, b"of an outcome that is not projected")
    await flow_with(both, ref)
    week_ago_ms = int((time.time() - 7 * DAY_SECONDS) * 1_000)  # of late the projector did nothing
    await both.connection.execute("UPDATE kr_projection SET position = %s", [f"{week_ago_ms}-0"])
    assert (await prune(both)).count == 0
    assert await is_there(both, ref)
    await both.connection.execute("UPDATE kr_projection SET position = NULL")
    assert (await prune(both)).count == 0


async def test_a_blob_goes_with_the_last_flow_that_uses_it(both: Both) -> None:
    ref = await stored(both, b"used twice")
    flows = [await flow_with(both, ref), await flow_with(both, ref)]
    await both.project()
    for flow in flows:
        assert await is_there(both, ref)
        await both.connection.execute(
            "UPDATE kr_flow_stat SET finished_ts = now() - interval '40 days' WHERE task_flow_id = %s", [flow]
        )
        await prune_older(both.engine.client, both.connection, 30 * DAY_SECONDS)
        await prune(both)
    assert not await is_there(both, ref)
    assert await uses(both) == set()


async def test_a_replay_finds_uses_again(both: Both) -> None:
    ref = await stored(both, b"replayed")
    flow = await flow_with(both, result=[{"$blob": msgspec.to_builtins(ref)}])
    await both.project()
    assert await uses(both) == {(ref.sha256, flow)}
    await both.connection.execute("DELETE FROM kr_blob_use")
    chosen = Selection()
    building = rebuild_tables(
        both.other, both.connection, chosen, lambda _what, _done, _total: None, at_one_moment=False
    )
    async with building as (replaying, rebuilt):
        await swap_in(both.other, replaying, rebuilt, chosen)
    assert await uses(both) == {(ref.sha256, flow)}


@pytest.mark.parametrize("harm", ["missing", "too many", "of a flow that is gone"])
async def test_a_use_that_is_not_what_the_events_say_is_found_and_mended(both: Both, harm: str) -> None:
    ref = await stored(both, b"verified")
    flow = await flow_with(both, ref)
    await both.project()
    right, other = {(ref.sha256, flow)}, "b" * 64
    wrong: list[tuple[str, str | None, str | None]]
    if harm == "missing":
        await both.connection.execute("DELETE FROM kr_blob_use")
        wrong = [(flow, None, ref.sha256)]
    else:
        owner = flow if harm == "too many" else f"{'0' * 8}-0000-7000-8000-{'0' * 12}"
        await both.connection.execute("INSERT INTO kr_blob_use VALUES (%s, %s)", [other, owner])
        wrong = [(owner, other, None)]
    chosen = Selection()

    async def different(expected: list[tuple[str, str | None, str | None]]) -> None:
        building = rebuild_tables(
            both.other, both.connection, chosen, lambda _what, _done, _total: None, at_one_moment=True
        )
        async with building as (_, rebuilt):
            found = [one async for one in find_differences(both.other, rebuilt, chosen)]
        assert [(one.flow, one.held, one.told) for one in found if one.field == "blob_use"] == expected

    await different(wrong)
    building = rebuild_tables(
        both.other, both.connection, chosen, lambda _what, _done, _total: None, at_one_moment=False
    )
    async with building as (replaying, rebuilt):
        await swap_in(both.other, replaying, rebuilt, chosen)
    assert await uses(both) == right
    await different([])


async def test_uploads_that_came_to_no_end_go(both: Both) -> None:
    await both.project()
    for hours in (23, 25):
        await add_chunk(both.connection, upload := uuid4(), 0, b"half")
        await both.connection.execute(
            "UPDATE kr_blob_chunk SET written_ts = now() - %s * interval '1 hour' WHERE upload = %s",
            [hours, upload],
        )
    await prune(both)
    assert await both.count("SELECT count(*) FROM kr_blob_chunk") == 1


async def test_blobs_at_a_url_are_pruned_by_the_same_rule(both: Both, tmp_path: Path) -> None:
    store = FilesystemStore(f"file://{tmp_path}/blobs")
    old = time.time() - 8 * DAY_SECONDS

    def put(content: bytes) -> BlobRef:
        sha256 = hashlib.sha256(content).hexdigest()
        store.put(sha256, len(content), lambda: io.BytesIO(content))
        os.utime(tmp_path / "blobs" / sha256[:2] / sha256, (old, old))
        return BlobRef(sha256=sha256, bytes=len(content), store=store.name)

    used, _ = put(b"used"), put(b"unused")
    await flow_with(both, used)
    await both.project()
    assert (await prune(both, store)).count == 1
    assert [path.name for path in (tmp_path / "blobs").glob("??/*")] == [used.sha256]


async def test_a_store_that_is_away_is_told_and_the_others_are_pruned(both: Both, tmp_path: Path) -> None:
    (tmp_path / "blobs").write_text("no folder")
    ref = await stored(both, b"unused")
    await both.project()
    pruned = await prune(both, FilesystemStore(f"file://{tmp_path}/blobs/below"))
    assert not await is_there(both, ref)
    assert pruned.count == 1
    assert ["NotADirectoryError" in problem for problem in pruned.problems] == [True]


@pytest.mark.parametrize(
    ("event", "found"),
    [
        (b'{"result":{"$blob":{"sha256":"%s","bytes":1,"store":"api"}}}', 1),
        (b'{"blobs": {"3": {"bytes": 1, "store": "api", "sha256": "%s"}}}', 1),
        (b'{"result":{"sha256":"%s"}}', 0),
        (b'{"result":{"sha256":"short","bytes":1,"store":"api"}}', 0),
        (b'{"result":1}', 0),
    ],
)
def test_references_are_found_by_their_fields(event: bytes, found: int) -> None:
    text = event.replace(b"%s", b"a1" * 32)
    assert blobs_in(text) == ["a1" * 32] * found


async def test_a_lost_redis_loses_no_use(both: Both) -> None:
    ref = await stored(both, b"archived")
    flow = await flow_with(both, ref)
    await both.project()
    await send(both.engine.client, "FLUSHDB")
    assert await uses(both) == {(ref.sha256, flow)}
