"""Where servers are, as others tell it: what is known, what is doubted, whom to ask."""

import pytest
from redis.exceptions import ConnectionError as LostConnectionError

from flower_engine.log.keys import Keys
from flower_engine.log.routed_clients import partition_in
from flower_engine.log.whereabouts import ClusterMap, PrimaryOfSet

A, B, C = ("a", 1), ("b", 2), ("c", 3)


def _slots(first: bytes, second: bytes) -> list[object]:
    return [[0, 8_000, [first, 1, b"id"]], [8_001, 16_383, [second, 2, b"id"]]]


def test_partitions_share_what_one_of_them_learned() -> None:
    cluster = ClusterMap([A])
    places = [cluster.of(number) for number in range(20)]
    assert {place.known() for place in places} == {None}
    assert places[0].learn(A, _slots(b"a", b"b")) is not None
    assert {place.known() for place in places} == {A, B}


def test_a_node_that_does_not_know_its_own_name_is_where_it_was_asked() -> None:
    cluster = ClusterMap([A])
    place = cluster.of(0)
    assert place.learn(("asked", 9), [[0, 16_383, [b"", 5, b"id"]]]) == ("asked", 5)


def test_who_says_what_is_doubted_is_not_believed_before_all_were_asked() -> None:
    cluster = ClusterMap([A, C])
    place = cluster.of(0)
    found = place.learn(A, _slots(b"a", b"a"))
    assert found is not None
    place.doubt(found)
    assert place.known() is None
    place.to_ask()
    assert place.learn(C, _slots(b"a", b"a")) is None or place.known() != found
    assert place.learn(B, _slots(b"b", b"b")) is not None
    assert place.known() != found


def test_where_everybody_says_the_same_it_is_tried_again() -> None:
    place = ClusterMap([A]).of(0)
    whole = [[0, 16_383, [b"a", 1, b"id"]]]
    found = place.learn(A, whole)
    assert found == A
    place.doubt(A)
    place.to_ask()
    assert place.learn(C, whole) is None
    assert place.last() == A


def test_a_slot_that_nobody_serves_is_said() -> None:
    place = ClusterMap([A]).of(0)
    place.to_ask()
    place.learn(A, [])
    with pytest.raises(LostConnectionError, match="no node of the cluster serves slot"):
        place.last()


def test_a_doubt_that_comes_late_does_not_undo_what_was_found_since() -> None:
    place = ClusterMap([A]).of(0)
    place.learn(A, [[0, 16_383, [b"a", 1, b"id"]]])
    place.doubt(A)
    place.learn(C, [[0, 16_383, [b"b", 2, b"id"]]])
    place.doubt(A)
    assert place.known() == B


def test_the_sentinel_that_answers_is_asked_first_and_an_unknown_name_is_said() -> None:
    primary = PrimaryOfSet([A, B, C], "mymaster")
    assert primary.learn(C, [b"host", b"7"]) == ("host", 7)
    assert next(iter(primary.to_ask())) == C
    other = PrimaryOfSet([A], "nobody")
    other.to_ask()
    assert other.learn(A, None) is None
    with pytest.raises(LostConnectionError, match="no sentinel knows a primary 'nobody' now"):
        other.last()


def test_the_first_key_of_a_command_says_its_partition() -> None:
    keys = Keys(12)
    assert partition_in(("EVALSHA", "sha", 1, keys.meta, "{flower:3}:x")) == 12
    assert partition_in(("XREAD", "COUNT", 5, "STREAMS", keys.log, "0")) == 12
    assert partition_in(("SCAN", 0, "MATCH", keys.prefix + "*")) == 12
    assert partition_in(("PING",)) is None
