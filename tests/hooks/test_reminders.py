"""Hooks are told of approvals: when they are asked, and again while nobody answers."""

import json
from typing import Any

from flower_engine import approval, workflow
from hooks.conftest import Hooked
from projection.stories import Story


@workflow("asked again")
def asked_again() -> None:
    """As people write it: after a minute they are told again, after 200 s somebody else is."""
    approval(title="Ship it?", remind="1m", escalate="200s")


async def test_hooks_are_told_what_is_asked_and_again_while_nobody_answers(hooked: Hooked) -> None:
    asked, again, up = "approval.asked", "approval.reminder", "approval.escalated"
    await hooked.hook("people", "http://127.0.0.1:9/", asked, again)
    await hooked.hook("boss", "http://127.0.0.1:9/", up)
    await hooked.hook("other", "http://127.0.0.1:9/", asked, again, up, task_id="other")
    story = Story()
    flow = story.register(())
    story.wait(flow, 2, 0)
    await hooked.happen(story)
    await hooked.note()
    told = await hooked.ledger("hook", "occasion")
    assert set(told) == {("people", asked)}
    (said,) = asked_again.document()["tasks"]
    since = "WHERE awaiting ->> 'kind' = 'approval' AND (awaiting ->> 'since_ms')::bigint > 0"
    changed = await hooked.tables.execute(
        f"""UPDATE kr_task_stat SET parameters = %s,
        awaiting = awaiting || jsonb_build_object('since_ms',
            (extract(epoch FROM now()) * 1000)::bigint - 150000) {since}""".encode(),  # noqa: S608 # above
        [json.dumps(said["parameters"])],
    )
    assert changed.rowcount == 1
    for _ in range(2):
        hooked.notices._late_at = 0.0  # pyright: ignore[reportPrivateUsage] # it is time to
        await hooked.note()
    bodies: list[Any] = [json.loads(body) for (body,) in await hooked.ledger("body")]
    reminders = [body for body in bodies if body["type"] == again]
    assert [body["data"]["reminder"] for body in reminders] == [2]
    assert reminders[0]["data"]["task"]["program"] == "@approval"
    assert reminders[0]["data"]["taskFlowId"] == flow
    await hooked.tables.execute(
        """UPDATE kr_task_stat SET awaiting = awaiting || jsonb_build_object('since_ms',
        (extract(epoch FROM now()) * 1000)::bigint - 250000) WHERE awaiting ->> 'kind' = 'approval'"""
    )
    hooked.notices._late_at = 0.0  # pyright: ignore[reportPrivateUsage] # it is time to
    await hooked.note()
    told = await hooked.ledger("hook", "occasion")
    assert sorted(told) == sorted([("people", asked), ("people", again), ("people", again), ("boss", up)])
