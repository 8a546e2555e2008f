"""How far a client has seen: what it keeps of answers that come in any order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flower_engine.client.kept_position import FiledPosition, KeptPosition
from flower_engine.flows.read_replica import Viewer
from flower_engine.model.values.positions import as_numbers
from flower_engine.model.values.seen_position import (
    HEADER,
    MOST_PARTITIONS,
    SeenPosition,
    lsn_of,
    reaches,
    timeline_of,
    wal_number,
)
from flower_engine.projection.read.wal_positions import WalPosition

_NUMBERS = st.integers(0, 2**63)
_LOG_POSITIONS = st.builds("{}-{}".format, st.integers(0, 10**13), st.integers(0, 99))
_LOGS = st.dictionaries(st.integers(0, 4_095), _LOG_POSITIONS, max_size=MOST_PARTITIONS)
_POSITIONS = st.builds(SeenPosition, st.from_regex(r"\d{0,20}", fullmatch=True), _NUMBERS, _LOGS)


@given(_POSITIONS)
def test_what_is_sent_is_what_is_read(position: SeenPosition) -> None:
    assert SeenPosition.read(position.text) == position


def test_anything_is_said_as_that() -> None:
    assert SeenPosition.read("7.12.*") == SeenPosition("7", 12, is_anything=True)
    assert SeenPosition("7", 12, is_anything=True).text == "7.12.*"


@pytest.mark.parametrize(
    "text",
    ["", "7", "7.1", "a.1.", "7.1.0:5", "7.1.0:5-1,", "7.1.x", "7.1.*,0:1-1", "7.1.\n", "1.2." + "0" * 5_000],
)
def test_what_is_no_position_is_none(text: str) -> None:
    assert SeenPosition.read(text) is None


def test_answers_that_come_in_any_order_never_set_a_client_back() -> None:
    kept = KeptPosition()
    kept.take(SeenPosition(), {HEADER: "7.100."})
    slow = kept.ask({})
    quick = kept.ask({})
    kept.take(quick, {HEADER: "7.150.0:9-1"})
    kept.take(slow, {HEADER: "7.120."})
    assert kept.text == "7.150.0:9-1"
    # The next answer has found it settled.
    kept.take(kept.ask({}), {HEADER: "7.160."})
    assert kept.text == "7.160."


def test_what_one_answer_settled_another_change_does_not_bring_back() -> None:
    kept = KeptPosition(SeenPosition("7", 1, {0: "5-0", 1: "3-0"}))
    sent = kept.ask({})
    kept.take(sent, {HEADER: "7.1.0:5-0,1:8-0"})  # a change in partition 1, answered meanwhile
    kept.take(sent, {HEADER: "7.4."})
    assert kept.text == "7.4.1:8-0"


def test_who_hears_from_a_primary_that_took_over_goes_by_what_that_has() -> None:
    before, after = wal_number(1, 900), wal_number(2, 300)
    kept = KeptPosition(SeenPosition("7", before))
    kept.take(kept.ask({}), {HEADER: f"7.{after}."})
    assert kept.text == f"7.{after}."
    kept.take(kept.ask({}), {HEADER: f"7.{before}."})  # an answer of the one before, which came late
    assert kept.text == f"7.{after}."


_WALS = st.builds(wal_number, st.integers(1, 2**32 - 1), st.integers(0, 2**63))


@given(_WALS, _WALS)
def test_nobody_on_an_earlier_timeline_or_at_an_earlier_place_reaches_what_was_seen(
    at: int, seen: int
) -> None:
    is_behind = timeline_of(at) < timeline_of(seen) or lsn_of(at) < lsn_of(seen)
    assert reaches(at, seen) is not is_behind
    assert reaches(at, at)
    assert SeenPosition.read(SeenPosition("7", at).text) == SeenPosition("7", at)


def test_another_postgres_is_another_position() -> None:
    kept = KeptPosition(SeenPosition("7", 900))
    kept.take(kept.ask({}), {HEADER: "8.3."})
    assert kept.text == "8.3."


@given(_LOGS, _LOGS)
def test_of_two_positions_in_a_partition_the_later_one_counts(
    one: dict[int, str], other: dict[int, str]
) -> None:
    both = SeenPosition("7", 1).with_log(one).with_log(other)
    if both.is_anything:
        assert len(one | other) > MOST_PARTITIONS
        return
    assert both.log.keys() == one.keys() | other.keys()
    for number, position in both.log.items():
        known = [as_numbers(log[number]) for log in (one, other) if number in log]
        assert as_numbers(position) == max(known)


def test_a_replica_answers_those_alone_who_have_seen_no_more() -> None:
    def may_be_told(seen: SeenPosition, **at: object) -> bool:
        given = {"system": "7", "is_standby": True, "wal": 50, **at}
        return Viewer(seen, may_ask_replica=True).may_be_told(WalPosition(**given))  # pyright: ignore[reportArgumentType]

    assert may_be_told(SeenPosition())
    assert may_be_told(SeenPosition("7", 50))
    assert not may_be_told(SeenPosition("7", 51))
    assert not may_be_told(SeenPosition("8", 1))
    assert not may_be_told(SeenPosition("7", 1, is_anything=True))
    assert not may_be_told(SeenPosition("7", 50), is_standby=False)
    changed = SeenPosition("7", 50, {3: "9-1"})
    assert not may_be_told(changed)
    assert not may_be_told(changed, projected={3: "9-0"})
    assert may_be_told(changed, projected={3: "9-1"})


def test_commands_hand_on_how_far_they_saw(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first = FiledPosition("http://one")
    assert first.text == ""
    first.take(SeenPosition(), {HEADER: "7.100."})
    first.keep()
    assert FiledPosition("http://one").text == "7.100."
    assert FiledPosition("http://other").text == ""
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    nowhere = FiledPosition("http://one")
    nowhere.take(SeenPosition(), {HEADER: "7.100."})
    nowhere.keep()
    assert nowhere.text == "7.100."
