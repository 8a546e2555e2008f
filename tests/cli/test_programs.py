"""flower programs: what workers serve, for people and for programs."""

import json

from api.serving import RunningApi
from api.test_programs import LOAD, work
from cli.flower_command import Flower
from flower_engine.insight.published_signatures import hash_of


async def test_programs_are_listed_and_shown(flower: Flower, own_api: RunningApi) -> None:
    assert "no worker has served any program" in flower("programs").stdout
    async with own_api.engine() as engine:
        await work(own_api, engine, "w1", {"Load": LOAD})
        listed = flower("programs")
        assert listed.exit_code == 0, listed.output
        said = " ".join(listed.stdout.split())
        assert "Load thread table, limit? 1 1 Loads a table." in said
        one = flower("programs", "Load")
        said = "".join(one.stdout.split())
        for text in (
            "Loadsatable.",
            hash_of(LOAD),
            "w1",
            '"rows":{"type":"integer"}',
            '"required":["table"]',
        ):
            assert text in said
        told = json.loads(flower("programs", "Load", "--json").stdout)
        assert told["versions"][0]["hash"] == hash_of(LOAD)
        assert told.pop("formerVersions") == []
        assert json.loads(flower("programs", "--json").stdout)["programs"] == [told]
    wrong = flower("programs", "Laod")
    assert (wrong.exit_code, "nearest: Load" in wrong.stderr) == (1, True)
