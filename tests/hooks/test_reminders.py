"""Hooks are told of approvals: when they are asked, and again while nobody answers."""

import json
from typing import Any

from hooks.conftest import Hooked
from projection.stories import Story


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
    await hooked.tables.execute(
        """UPDATE kr_task_stat SET parameters = '{"remind_seconds": 60, "escalate_seconds": 200}',
        awaiting = awaiting || jsonb_build_object('since_ms',
            (extract(epoch FROM now()) * 1000)::bigint - 150000)
        WHERE awaiting ->> 'kind' = 'approval'"""
    )
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
