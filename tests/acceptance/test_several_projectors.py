"""Several projectors share the partitions, and project each event once, whoever comes, stops or is killed."""

from pathlib import Path

import psycopg

from acceptance.running import PATIENT, RunningEngine

_CHAIN = [{"taskSeq": seq, "program": "Noop", "taskPriority": 0} for seq in (1, 2, 3)]
_PARTITIONS = 6
_SHARES = """
SELECT partitions FROM kr_projector_member WHERE seen_ts > now() - interval '10 seconds'
  AND pid IN (SELECT pid FROM pg_stat_activity) ORDER BY 1
"""


def _shares(engine: RunningEngine) -> list[list[int]]:
    with psycopg.connect(engine.addresses.database_url) as connection:
        return [row[0] for row in connection.execute(_SHARES)]


def _written(partitions: list[int]) -> str:
    return ", ".join(map(str, partitions))


def _wait_for(engine: RunningEngine, *sizes: int) -> None:
    def is_shared() -> bool:
        shares = _shares(engine)
        taken = sorted(number for share in shares for number in share)
        return sorted(map(len, shares)) == sorted(sizes) and taken == list(range(_PARTITIONS))

    engine.wait_for(f"partitions to be shared as {sizes}", is_shared)


def test_they_share_the_partitions_whoever_comes_stops_or_is_killed(tmp_path: Path) -> None:
    services = ("api", "watcher", "worker", "projector")
    with RunningEngine.started(tmp_path, *services, **PATIENT, FLOWER_PARTITIONS=f"{_PARTITIONS}") as engine:
        engine.define("chain", _CHAIN)
        flows: list[str] = []
        _wait_for(engine, 6)
        flows += engine.register("chain", 100)
        engine.start("projector-2")
        _wait_for(engine, 3, 3)
        told = engine.client.get("/top").json()["projectors"]
        assert sorted(one["partitions"] for one in told) == _shares(engine)
        shown = engine.flower("top", "--once").stdout
        assert all(one["name"] in shown and _written(one["partitions"]) in shown for one in told), shown
        flows += engine.register("chain", 100)
        engine.start("projector-3")
        _wait_for(engine, 2, 2, 2)
        flows += engine.register("chain", 100)
        engine.kill("projector-2")
        _wait_for(engine, 3, 3)
        flows += engine.register("chain", 100)
        engine.stop("projector")
        _wait_for(engine, 6)
        flows += engine.register("chain", 100)
        engine.wait_until_ended(flows)
        done = engine.flower("verify")
        assert (done.returncode, "0 differences" in done.stdout) == (0, True), done.stdout + done.stderr
        verdict = engine.flower("doctor", "--json").stdout
        assert '"projectors"' in verdict
