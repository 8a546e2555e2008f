"""Slots that go to another node under load: at once, as Valkey 9 does it, and key by key, as Redis does."""

import time
from pathlib import Path

from acceptance.running import PATIENT, RunningEngine
from cluster.engines import ALL, NAPS, PARTITIONS, Load, proved, settings
from cluster.servers import ClusterServers, Server, wait_for


def _others(cluster: ClusterServers, server: Server) -> Server:
    return next(one for one in cluster.servers[:3] if one is not server)


def test_slots_that_are_moved_at_once_under_load_lose_nothing(
    tmp_path: Path, cluster: ClusterServers
) -> None:
    with RunningEngine.started(tmp_path, *ALL, **settings(cluster.url, **PATIENT)) as engine:
        engine.define("naps", NAPS)
        with Load.under(engine, "naps") as load:
            for partition in range(PARTITIONS):
                load.wait_for(engine, 50)
                source, slot = cluster.master_of(partition), cluster.slot_of(partition)
                target = _others(cluster, source)
                source.send(
                    *("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", cluster.id_of(target))
                )
                wait_for(
                    "the slot to be there", lambda one=partition, to=target: cluster.master_of(one) is to
                )
            load.wait_for(engine, 50)
        engine.wait_until_ended(load.flows)
        proved(engine, load.flows)


def _begin_move(cluster: ClusterServers, slot: int, source: Server, target: Server) -> None:
    target.send("CLUSTER", "SETSLOT", slot, "IMPORTING", cluster.id_of(source))
    source.send("CLUSTER", "SETSLOT", slot, "MIGRATING", cluster.id_of(target))


def _keys(server: Server, slot: int, most: int) -> list[str]:
    return list(server.send("CLUSTER", "GETKEYSINSLOT", slot, most))


def _move_some(slot: int, source: Server, target: Server, most: int) -> int:
    keys = _keys(source, slot, most)
    if keys:
        source.send("MIGRATE", "127.0.0.1", target.port, "", 0, 5_000, "KEYS", *keys)
    return len(keys)


def _end_move(cluster: ClusterServers, slot: int, target: Server) -> None:
    for server in (target, *(one for one in cluster.servers[:3] if one is not target)):
        server.send("CLUSTER", "SETSLOT", slot, "NODE", cluster.id_of(target))


def test_a_slot_that_is_moved_key_by_key_under_load_stands_still_and_loses_nothing(
    tmp_path: Path, cluster: ClusterServers
) -> None:
    with RunningEngine.started(tmp_path, *ALL, **settings(cluster.url, **PATIENT)) as engine:
        engine.define("naps", NAPS)
        with Load.under(engine, "naps") as load:
            for partition in range(PARTITIONS):
                load.wait_for(engine, 50)
                source, slot = cluster.master_of(partition), cluster.slot_of(partition)
                target = _others(cluster, source)
                _begin_move(cluster, slot, source, target)
                moved = 0
                while count := _move_some(slot, source, target, 10):
                    moved += count
                    time.sleep(0.01)  # others send what they send, in the middle of it
                assert moved > 10, "flows lay there, with keys of their own"
                _end_move(cluster, slot, target)
            load.wait_for(engine, 50)
        assert "is being moved to another node key by key" in engine.logs_whole()
        engine.wait_until_ended(load.flows)
        proved(engine, load.flows)
