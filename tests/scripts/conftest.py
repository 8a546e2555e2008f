"""A fresh partition for every test of the scripts, and a check of what the test leaves behind."""

from collections.abc import AsyncIterator

import pytest

from flower_engine.log.client import connect, connect_blocking
from flower_engine.log.partition import Partition
from flower_engine.transitions.installation_transitions import install
from scripts.engine import Engine, task
from scripts.trees import Trees


@pytest.fixture(autouse=True)
async def engine(redis_url: str, request: pytest.FixtureRequest) -> AsyncIterator[Engine]:
    """An empty partition whose queue ``default`` is attended.

    After the test, Redis must be what the fold of the log says, and hold nothing of flows that ended.
    A test that damages Redis on purpose, or trims the log, is marked ``leaves_damage``.
    """
    async with connect(redis_url) as client:
        with connect_blocking(redis_url) as blocking:
            meta = await install(client, 0, "test-installation", 1)
            engine = Engine(client, blocking, Partition(0, meta.installation, meta.generation))
            await engine.attend("default")
            yield engine
            if "leaves_damage" not in request.keywords:
                await engine.check()


@pytest.fixture
async def trees(engine: Engine) -> Trees:
    """What a watcher does for trees, and a workflow for children."""
    made = Trees(engine)
    await made.define(
        task(1, program="C"), task(2, 1, program="D", task_name="last"), returns={"$from": "last"}
    )
    return made


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "leaves_damage: Redis is not checked against the log after this test")
