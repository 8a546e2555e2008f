"""A cluster that grows while flows run, and limits that are lent over it while one of its nodes is away."""

from pathlib import Path
from typing import Any

from acceptance.running import PATIENT, RunningEngine
from cluster.engines import ALL, NAPS, PARTITIONS, Load, nap, proved, settings
from cluster.servers import ClusterServers, Server, wait_for
from flower_engine.model.values.ids import partition_of

_MORE = 2
_LIMIT = 12


def _move(cluster: ClusterServers, partition: int, target: Server) -> None:
    slot, source = cluster.slot_of(partition), cluster.master_of(partition)
    source.send("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", cluster.id_of(target))
    wait_for("the slot to be there", lambda: cluster.master_of(partition) is target)
    # One that has just become a master may say for a moment that the cluster is down.
    wait_for("it to serve it", lambda: "cluster_state:ok" in str(target.send("CLUSTER", "INFO")))


def test_a_cluster_grows_onto_a_new_master_under_load_and_interrupts_nothing(
    tmp_path: Path, cluster: ClusterServers
) -> None:
    with RunningEngine.started(tmp_path, *ALL, **settings(cluster.url, **PATIENT)) as engine:
        engine.define("naps", NAPS)
        engine.define("slow", [{**NAPS[0], "parameters": {"SLEEP_TIME_SECOND": "6"}}])
        new = list(range(PARTITIONS, PARTITIONS + _MORE))
        with Load.under(engine, "naps") as load:
            load.wait_for(engine, 50)
            slow = engine.register("slow", 4)
            fresh = cluster.add_master()
            for partition in new:  # there is nothing in them yet
                _move(cluster, partition, fresh)
            done = engine.flower("partitions", "--add", str(_MORE))
            assert done.returncode == 0, done.stdout + done.stderr
            engine.wait_for(
                "flows in the new ones", lambda: set(new) <= {partition_of(flow) for flow in load.flows}
            )
            load.wait_for(engine, 100)
        assert cluster.apart(PARTITIONS + _MORE)[fresh] == new
        flows = [*slow, *load.flows]
        engine.wait_until_ended(flows)
        attempts = [engine.client.get(f"/flows/{flow}").json()["tasks"][0]["attempt"] for flow in slow]
        assert attempts == [1] * len(slow)
        assert load.refused == 0
        assert all(engine.is_running(name) for name in ALL), "no service ended"
        assert engine.tracebacks() == []
        engine.partitions += _MORE
        proved(engine, flows)


def test_shares_of_a_limit_are_lent_on_while_a_node_is_away_and_come_back_to_it(
    tmp_path: Path, cluster: ClusterServers
) -> None:
    with RunningEngine.started(tmp_path, *ALL, **settings(cluster.url)) as engine:
        engine.define("naps", [nap(1, 0.5)])  # ten at a time, of which an even share would let three run
        limit = engine.client.put("/limits/program/EchoParamTimeSleep", json={"maxRunning": _LIMIT})
        limit.raise_for_status()
        away = cluster.master_of(0)
        gone = cluster.apart(PARTITIONS)[away]
        first, second, *_ = (number for number in range(PARTITIONS) if number not in gone)
        even = _LIMIT // PARTITIONS
        with Load.under(engine, "naps", only=first, every_seconds=0.25) as load:
            engine.wait_for("shares to be lent to it", lambda: _shares(engine).get(first, 0) > even)
            cluster.replica_of(away).kill()
            away.kill()
            engine.wait_for("that to be told", lambda: gone[0] not in _shares(engine))
            load.only = second
            engine.wait_for("shares to be lent on", lambda: _shares(engine).get(second, 0) > even)
            load.wait_for(engine, 30)
            away.start()
            engine.wait_for("it to be whole", lambda: set(_shares(engine)) == set(range(PARTITIONS)))
            load.only = gone[0]
            engine.wait_for("shares to be lent to that", lambda: _shares(engine).get(gone[0], 0) > even)
            load.wait_for(engine, 30)
        engine.wait_until_ended(load.flows)
        proved(engine, load.flows)


def _shares(engine: RunningEngine) -> dict[int, int]:
    """What each partition that answers may have of the limit."""
    [limit] = engine.client.get("/limits").json()["limits"]
    shares: dict[str, Any] = limit.get("shares", {}).get("maxRunning", {})
    return {int(number): share for number, share in shares.items()}
