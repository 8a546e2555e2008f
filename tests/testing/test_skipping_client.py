"""Of the scripts of production, tests exchange the clock alone, and what follows from it."""

import difflib

import pytest

from flower_engine.log.client import send
from flower_engine.testing import FlowerTest
from flower_engine.testing.private_server import server
from flower_engine.testing.skipping_client import with_clock_of_test
from flower_engine.transitions.lua_source import compose

_ALL = ("register/register", "worker/finish_and_claim", "watcher/fire", "watcher/lapse", "operator/rerun")
_DOCUMENT = {
    "taskId": "testing.positions",
    "tasks": [{"taskSeq": seq, "program": "p"} for seq in range(1, 9)],
}


@pytest.mark.parametrize("name", _ALL)
def test_a_script_differs_in_the_clock_and_the_ids_of_the_log_alone(name: str) -> None:
    script = compose(name)

    before, after = script.splitlines(), with_clock_of_test(script).splitlines()

    changed = [line for line in difflib.ndiff(before, after) if line[0] in "+-"]
    assert len(changed) == 6
    assert all("TIME" in line or "XADD" in line for line in changed if line[0] == "-")


def test_a_script_that_takes_the_time_otherwise_is_not_sent() -> None:
    script = compose("watcher/fire").replace("call('TIME')", "redis.call('TIME')[1]")

    with pytest.raises(ValueError, match="skipped time does not know"):
        with_clock_of_test(script)


def test_positions_follow_skipped_time(flower: FlowerTest) -> None:
    flower.stub("p", None)
    run = flower.start(_DOCUMENT)
    flower.skip("3d")

    engine = flower._engine  # pyright: ignore[reportPrivateUsage]
    (last, _), *_ = server().call(send(engine.redis, "XREVRANGE", engine.partition.keys.log, "+", "-"))

    now_ms = round(run.skipped_to.timestamp() * 1000)
    assert last.decode().partition("-")[0] == str(now_ms - 3 * 86_400_000)
