"""What becomes of flows is noted for the hooks that tell of it, once, whatever happens meanwhile."""

import json
from typing import Any

import pytest

from flower_engine.projection.database import Connection
from flower_projector.hook_notices import NoticeLoop
from hooks.conftest import Hooked
from projection.logs import append
from projection.stories import Story

ENDS = ("flow.finished", "flow.cancelled")


def a_failure(story: Story, workflow: str = "etl") -> str:
    flow = story.register(workflow=workflow)
    story.start(flow, 1)
    story.suspend(flow, 1, message="no way")
    return flow


async def test_a_hook_of_a_workflow_tells_of_its_flows_and_one_of_all_of_all(hooked: Hooked) -> None:
    await hooked.hook("all", "http://127.0.0.1:9/")
    await hooked.hook("etl", "http://127.0.0.1:9/", task_id="etl")
    await hooked.hook("ends", "http://127.0.0.1:9/", *ENDS)
    await hooked.hook("paused", "http://127.0.0.1:9/", is_paused=True)
    story = Story()
    first, other = a_failure(story), a_failure(story, "other")
    story.cancel(other)
    await hooked.happen(story)
    await hooked.note()
    told = set(await hooked.ledger("hook", "occasion", "task_flow_id"))
    assert told == {
        ("all", "flow.failed", first),
        ("all", "flow.failed", other),
        ("etl", "flow.failed", first),
        ("ends", "flow.cancelled", other),
    }
    bodies = [json.loads(body) for (body,) in await hooked.ledger("body")]
    (of_etl,) = [body for body in bodies if body["hook"] == "etl"]
    assert of_etl["data"]["task"] == {
        "taskExecSeq": 1, "taskSeq": 10, "taskName": None, "program": "Program1",
    }  # fmt: skip
    assert (of_etl["data"]["taskId"], of_etl["data"]["error"]["message"]) == ("etl", "no way")


async def test_what_a_hook_sees_twice_it_tells_once(hooked: Hooked, tables: Connection) -> None:
    await hooked.hook("ops", "http://127.0.0.1:9/", "flow.failed", *ENDS)
    story = Story()
    a_failure(story)
    story.run(story.register())
    await hooked.happen(story)
    await hooked.note()
    before = await hooked.ledger("id", "body")
    assert len(before) == 2
    await tables.execute("UPDATE kr_follower SET position_ms = 0, position_seq = 0")  # an older backup
    await tables.execute("DELETE FROM kr_hook_failing")
    await hooked.note()
    assert await hooked.ledger("id", "body") == before


async def test_nothing_of_before_there_was_a_hook_is_told(hooked: Hooked) -> None:
    story = Story()
    a_failure(story)
    await hooked.happen(story)
    hooked.notices._skip_at = 0.0  # pyright: ignore[reportPrivateUsage] # it is time to
    await hooked.note()
    await hooked.hook("ops", "http://127.0.0.1:9/")
    flow = a_failure(story)
    await hooked.happen(story)
    await hooked.note()
    assert await hooked.ledger("task_flow_id") == [(flow,)]


async def test_two_projectors_note_each_thing_once(hooked: Hooked) -> None:
    await hooked.hook("ops", "http://127.0.0.1:9/")
    other = NoticeLoop(hooked.client, [hooked.partition], hooked.settings)
    story = Story()
    for _ in range(3):
        a_failure(story)
        await hooked.happen(story)
        await other.run_once()
        await hooked.note()
    await hooked.notices.close()
    a_failure(story)
    await hooked.happen(story)
    for _ in range(500):
        await other.run_once()
        if len(await hooked.ledger("id")) == 4:
            break
    await other.close()
    assert len(await hooked.ledger("id")) == 4


HOSTILE: list[dict[str, Any]] = [
    {"kind": "email"},
    {"occasions": ["flow.started"]},
    {"occasions": []},
    {"occasions": [["flow.failed"], ["flow.late"]]},
    {"target": "file:///etc/passwd"},
    {"target": "x" * 100_000},
    {"late_after_seconds": "NaN", "occasions": ["flow.late"]},
    {"late_after_seconds": "Infinity", "occasions": ["flow.late"]},
    {"late_after_seconds": "-1", "occasions": ["flow.late"]},
    {"late_after_seconds": "1e400", "occasions": ["flow.late"]},
    {"kind": "command", "target": "$(reboot)"},
    {"kind": "python", "target": "os.system"},
    {"secret": "a b"},
    {"created_ts": "infinity"},
    {"changed_ts": "4713-01-01 BC", "target": ""},
    {"reason": "x" * 1_000_000},
]


async def test_rows_that_make_no_sense_stop_no_other(
    hooked: Hooked, caplog: pytest.LogCaptureFixture
) -> None:
    for number, columns in enumerate(HOSTILE):
        occasions = columns.get("occasions", ["flow.failed"])
        rest = {name: value for name, value in columns.items() if name != "occasions"}
        await hooked.hook(
            f"bad {number}", rest.pop("target", "http://127.0.0.1:9/"), **rest | {"occasions": occasions}
        )
    await hooked.hook("good", "http://127.0.0.1:9/")
    story = Story()
    a_failure(story)
    await hooked.happen(story)
    for _ in range(3):
        await hooked.note()
    assert "good" in {hook for (hook,) in await hooked.ledger("hook")}
    said = [record.getMessage() for record in caplog.records if "tells nothing" in record.getMessage()]
    assert len(said) == len(set(said)) >= len(HOSTILE) - 3


async def test_events_that_nobody_can_read_stop_nothing(hooked: Hooked, tables: Connection) -> None:
    await hooked.hook("ops", "http://127.0.0.1:9/")
    story = Story()
    flow = a_failure(story)
    await hooked.happen(story)
    rows = await tables.execute("SELECT position_ms FROM kr_event ORDER BY position_ms DESC LIMIT 1")
    ((ms,),) = await rows.fetchall()
    for seq, (event, raw) in enumerate(
        [
            ('{"type": "task.suspended"}', None),
            ('{"type": "task.suspended", "flow": 7, "task": "x"}', None),
            ("[]", None),
            (None, b"\xff\x00"),
            (None, None),
            ('{"type": "flow.of_tomorrow", "at": 1}', None),
        ]
    ):
        await tables.execute(
            "INSERT INTO kr_event (partition, position_ms, position_seq, type, event, raw, error)"
            " VALUES (0, %s, %s, 'task.suspended', %s, %s, %s)",
            [ms, 1_000 + seq, event, raw, None if event else "why"],
        )
    await tables.execute("UPDATE kr_projection SET position = %s", [f"{ms}-1005"])
    await hooked.note()
    assert await hooked.ledger("task_flow_id") == [(flow,)]
    rows = await tables.execute("SELECT position_ms, position_seq FROM kr_follower WHERE name = 'hooks'")
    assert await rows.fetchall() == [(ms, 1_005)]


async def test_a_flow_is_late_once_when_it_has_not_ended_in_time(hooked: Hooked, tables: Connection) -> None:
    await hooked.hook("slow", "http://127.0.0.1:9/", "flow.late", late_after_seconds=3_600)
    await hooked.hook("etl", "http://127.0.0.1:9/", "flow.late", late_after_seconds=3_600, task_id="etl")
    story = Story()
    late, ended, fresh, later, other = (
        story.register(workflow=name) for name in ("etl", "etl", "etl", "etl", "other")
    )
    story.run(ended)
    await hooked.happen(story)
    await tables.execute("UPDATE kr_flow_stat SET registered_ts = now() - interval '30 minutes'")
    await hooked.note()
    assert await hooked.ledger("id") == []
    for flow in (late, ended, other):
        await registered(tables, flow, "40 minutes")
    await registered(tables, later, "40 minutes")
    await tables.execute(
        "UPDATE kr_flow_stat SET start_ts = now() - interval '20 minutes' WHERE task_flow_id = %s", [later]
    )
    await tables.execute("UPDATE kr_hook SET late_to = now() - interval '100 minutes'")  # as time passes
    await tables.execute("UPDATE ms_hook SET late_after_seconds = 2_100")
    await look_again(hooked)
    told = [("etl", late), ("slow", late), ("slow", other)]
    assert sorted(await hooked.ledger("hook", "task_flow_id")) == sorted(told)
    await look_again(hooked)
    assert len(await hooked.ledger("id")) == 3
    await tables.execute("UPDATE ms_hook SET late_after_seconds = 900")
    await look_again(hooked)
    assert {flow for (flow,) in await hooked.ledger("task_flow_id")} == {late, other, fresh, later}


async def test_flows_that_were_late_before_there_was_a_hook_are_not_told(
    hooked: Hooked, tables: Connection
) -> None:
    story = Story()
    flow = story.register()
    await hooked.happen(story)
    await registered(tables, flow, "1 hour")
    await hooked.hook("slow", "http://127.0.0.1:9/", "flow.late", late_after_seconds=60)
    await look_again(hooked)
    assert await hooked.ledger("id") == []


async def test_what_became_late_while_a_hook_was_paused_is_not_told(
    hooked: Hooked, tables: Connection
) -> None:
    await hooked.hook("slow", "http://127.0.0.1:9/", "flow.late", late_after_seconds=3_600)
    await look_again(hooked)
    await tables.execute("UPDATE ms_hook SET is_paused = true")
    hooked.notices._skip_at = 0.0  # pyright: ignore[reportPrivateUsage]
    await look_again(hooked)
    story = Story()
    before, after = story.register(), story.register()
    await hooked.happen(story)
    await registered(tables, before, "2 hours")
    await registered(tables, after, "30 minutes")
    await tables.execute("UPDATE kr_hook SET late_to = late_to - interval '3 hours'")  # as time passes
    await tables.execute("UPDATE ms_hook SET is_paused = false")
    await look_again(hooked)
    assert await hooked.ledger("task_flow_id") == []
    await tables.execute("UPDATE ms_hook SET late_after_seconds = 1_200")
    await look_again(hooked)
    assert await hooked.ledger("task_flow_id") == [(after,)]


async def registered(tables: Connection, flow: str, ago: str) -> None:
    await tables.execute(
        "UPDATE kr_flow_stat SET registered_ts = now() - %s::interval WHERE task_flow_id = %s", [ago, flow]
    )


async def look_again(hooked: Hooked) -> None:
    """Looks for what is late, now."""
    hooked.notices._late_at = 0.0  # pyright: ignore[reportPrivateUsage]
    await hooked.note()


async def test_a_projection_that_is_behind_hides_no_late_flow(hooked: Hooked, tables: Connection) -> None:
    await hooked.hook("slow", "http://127.0.0.1:9/", "flow.late", late_after_seconds=1)
    await look_again(hooked)
    story = Story()
    flow = story.register()
    await append(hooked.client, hooked.partition, *(entry.raw for entry in story.entries))
    await tables.execute("SELECT pg_sleep(1.1)")
    await look_again(hooked)  # it is late, and not projected: nobody can know
    assert await hooked.ledger("id") == []
    await hooked.happen(Story())
    at = "to_timestamp((SELECT max(position_ms) FROM kr_event WHERE type = 'flow.registered') / 1000.0)"
    await tables.execute(f"UPDATE kr_flow_stat SET registered_ts = {at}".encode())  # noqa: S608
    await look_again(hooked)
    assert await hooked.ledger("task_flow_id") == [(flow,)]
