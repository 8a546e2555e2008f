"""``verify`` compares flow control between the tables and Redis, and puts it right."""

import pytest

from flower_engine.log.client import send
from flower_engine.model.flow_control.flow_control import FlowControl, Strike
from flower_engine.projection.definitions.flow_control_rows import put_control, put_strike
from flower_engine.runtime import flow_control_sync
from flower_engine.runtime.flow_control_sync import try_to_bring_control
from flower_engine.runtime.settings import Settings
from recovery.both import Both
from recovery.command import flower


async def test_verify_tells_limits_pauses_and_strikes_that_redis_has_otherwise(
    both: Both, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow_control_sync, "_LOOK_SECONDS", 0.0)  # nothing is under way here
    partition, limits = both.engine.partition, both.engine.partition.keys.limits
    await put_control(both.connection, FlowControl(scope="program", name="A", max_running=3))
    await put_control(both.connection, FlowControl(scope="queue", name="q", is_paused=True))
    await put_strike(both.connection, Strike(id="s", program="A", parameter="n", value=1))
    brought = await try_to_bring_control(both.client, both.connection, [partition])
    assert brought is not None
    assert brought.changed == ["p:A", "q:q", "x:A"]
    await both.project()
    code, text = await flower(settings, "verify", words=99)
    assert (code, "flow control: 0 differences" in text) == (0, True), text

    await send(both.client, "HSET", limits, "p:A", "7 - - 0", "w:w", "1 - - 0")
    await send(both.client, "HDEL", limits, "q:q", "x:A")
    code, text = await flower(settings, "verify", words=99)
    assert code == 1
    assert "flow control 'p:A' is '7 - - 0', the tables say '3 - - 0'" in text
    assert "flow control 'w:w' is '1 - - 0', the tables say 'not set'" in text
    assert "flow control 'q:q' is 'not set', the tables say '- - - 1'" in text
    assert "flow control 'x:A' is 'not set'" in text
    assert "flow control: 4 differences" in text
    code, text = await flower(settings, "verify", "--repair", words=99)
    assert (code, "what the tables of flow control say" in text) == (1, True), text
    assert (await flower(settings, "verify", words=99))[0] == 0
