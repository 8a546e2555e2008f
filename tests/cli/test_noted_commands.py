"""What commands do to the stores, past the API, is in the audit, in the name of the user of the system."""

import getpass

import pytest

from api.serving import RunningApi
from cli.flower_command import Flower


def test_what_commands_do_to_the_stores_is_told(
    flower: Flower, own_api: RunningApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLOWER_REDIS_URL", own_api.settings.redis_url or "")
    monkeypatch.setenv("FLOWER_DATABASE_URL", own_api.settings.database_url or "")
    own_api.define("w", {})
    own_api.register("w")
    for words in (("prune", "--older-than", "30d"), ("replay",), ("recover", "--force"), ("recover",)):
        done = flower(*words)
        assert done.exit_code == 0, done.output
    asked = {"what": "engine", "limit": 10}
    acts = own_api.client.get("/audit", params=asked).json()["acts"]
    assert [one["act"] for one in acts] == ["engine.recovered", "engine.replayed", "engine.pruned"]
    assert {one["by"] for one in acts} == {f"shell:{getpass.getuser()}"}
    assert acts[0]["details"] == {"partitions": 1, "force": True}
    assert acts[2]["details"] == {"older_than_days": 30}


def test_who_adds_retires_or_keeps_a_partition_is_told(
    flower: Flower, own_api: RunningApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLOWER_REDIS_URL", own_api.settings.redis_url or "")
    monkeypatch.setenv("FLOWER_DATABASE_URL", own_api.settings.database_url or "")
    for words in (("--add", "1"), ("--retire", "1"), ("--keep", "1")):
        done = flower("partitions", *words)
        assert done.exit_code == 0, done.output
    acts = own_api.client.get("/audit", params={"what": "partition"}).json()["acts"]
    told = [(one["act"], one["name"], one["by"]) for one in acts]
    by = f"shell:{getpass.getuser()}"
    assert told == [
        ("partition.kept", "1", by),
        ("partition.retiring", "1", by),
        ("partition.added", "1", by),
    ]
