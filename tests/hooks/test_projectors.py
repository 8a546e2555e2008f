"""Hooks in real projectors: one is killed at the worst moment, and two are at work at once."""

import signal
import time
from pathlib import Path

import forked_flower
from flower_engine.crash_points import VARIABLE
from hooks.conftest import Hooked
from hooks.receiver import Receiver
from hooks.test_notices import a_failure
from projection.logs import append
from projection.stories import Story

PATIENCE_SECONDS = 120.0


def start(hooked: Hooked, folder: Path, name: str, **environment: str) -> forked_flower.Process:
    with (folder / f"{name}.log").open("ab") as output:
        return forked_flower.start(
            *("-m", "flower_cli", "projector"),
            environment={
                **hooked.settings.as_environment(),
                **environment,
            },
            output=output,
        )


async def test_killed_before_it_noted_an_answer_it_tells_again_under_the_same_id_and_two_tell_once(
    hooked: Hooked, receiver: Receiver, tmp_path: Path
) -> None:
    await hooked.notices.close()  # the projectors are to have it
    await hooked.hook("ops", receiver.url, task_id="etl")
    story = Story()
    flow = a_failure(story)
    await append(hooked.client, hooked.partition, *(entry.raw for entry in story.entries))
    killed = start(hooked, tmp_path, "killed", **{VARIABLE: "hook.told"})
    (first,) = receiver.wait_for(1)
    assert killed.wait(PATIENCE_SECONDS) == -signal.SIGKILL
    assert await hooked.ledger("state", "attempts") == [("waiting", 1)]
    # As if the time had gone by after which what it has in hand counts as lost.
    await hooked.tables.execute("UPDATE kr_hook_delivery SET next_ts = now()")
    projectors = [start(hooked, tmp_path, f"{number}") for number in range(2)]
    second = receiver.wait_for(2)[1]
    assert (second.id, second.body) == (first.id, first.body)
    assert first.json["data"]["taskFlowId"] == flow
    later = Story()
    flows = {a_failure(later) for _ in range(10)}
    a_failure(later, "other")
    await append(hooked.client, hooked.partition, *(entry.raw for entry in later.entries))
    deadline = time.monotonic() + PATIENCE_SECONDS
    while await hooked.ledger("state") != [("delivered",)] * 11:
        assert time.monotonic() < deadline, (tmp_path / "0.log").read_text() + (
            tmp_path / "1.log"
        ).read_text()
        await hooked.tables.execute("SELECT pg_sleep(0.05)")
    assert sorted(call.json["data"]["taskFlowId"] for call in receiver.calls[2:]) == sorted(flows)
    for projector in projectors:
        projector.send_signal(signal.SIGTERM)
    assert [projector.wait(PATIENCE_SECONDS) for projector in projectors] == [0, 0]
