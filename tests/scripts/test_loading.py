"""Scripts are sent by content hash, and in full to a server that does not know them yet."""

import hashlib
from pathlib import Path

import pytest

from flower_engine.log.client import send
from flower_engine.transitions.loader import Script
from scripts.engine import Engine, task

LUA = Path(__file__).parents[2] / "shared" / "flower_engine" / "transitions" / "lua"
NAMES = sorted(
    file.relative_to(LUA).with_suffix("").as_posix()
    for file in LUA.glob("*/*.lua")
    if file.parent.name != "lib"
)


@pytest.mark.parametrize("name", NAMES)
async def test_the_server_names_a_script_as_we_do(engine: Engine, name: str) -> None:
    script = Script(name)
    assert script.sha == hashlib.sha1(script.text, usedforsecurity=False).hexdigest()
    assert await send(engine.client, "SCRIPT LOAD", script.text) == script.sha


async def test_a_server_that_forgot_its_scripts_gets_them_again(engine: Engine) -> None:
    await engine.register(task(1))
    await send(engine.client, "SCRIPT FLUSH")
    await engine.register(task(1))
    await send(engine.client, "SCRIPT FLUSH")
    assert engine.heartbeat("w1") == []
    await engine.work_off()


@pytest.mark.parametrize("name", NAMES)
def test_a_script_begins_with_its_shebang_and_holds_its_helpers_once(name: str) -> None:
    text = Script(name).text.decode()
    assert text.startswith("#!lua")
    assert text.count("#!lua") == 1
    assert text.count("local call = ") == 1
