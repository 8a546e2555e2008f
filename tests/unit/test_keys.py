"""Names of keys, as far as Python alone decides them; ``tests/scripts`` compares them with Lua's."""

from hypothesis import given
from hypothesis import strategies as st

from flower_engine.log.keys import Keys
from flower_engine.model.flow_control.lanes import Lane
from flower_engine.model.values.key_parts import escape, unescape


def lane(queue: str, priority: int, workflow: str, program: str) -> str:
    return Lane(queue, priority, workflow, "", False, program, 1, "", "").name


names = st.text(min_size=1, max_size=30) | st.text("%:25 3A,/", min_size=1, max_size=12)


@given(names)
def test_an_escaped_name_can_be_read_back(name: str) -> None:
    assert unescape(escape(name)) == name


@given(names)
def test_an_escaped_name_is_one_part_of_a_key(name: str) -> None:
    assert ":" not in escape(name)


@given(names)
def test_an_escaped_name_never_breaks_the_record_of_a_workers_last_call(name: str) -> None:
    """``call:<worker>`` separates with spaces, commas and slashes (finish_and_claim.lua)."""
    assert not set(escape(name)) & set(" ,/")


@given(
    st.tuples(names, st.integers(-20, 19), names, names), st.tuples(names, st.integers(-20, 19), names, names)
)
def test_two_lanes_have_one_name_only_when_they_are_the_same(
    one: tuple[str, int, str, str], other: tuple[str, int, str, str]
) -> None:
    assert (lane(*one) == lane(*other)) == (one == other)


@given(names, st.integers(-20, 19), names, names)
def test_a_lanes_name_begins_with_the_name_of_its_share(
    queue: str, priority: int, workflow: str, program: str
) -> None:
    keys = Keys(0)
    share = keys.share(f"{escape(queue)}:{priority}:{escape(workflow)}")
    made = keys.lane(lane(queue, priority, workflow, program))
    assert made.replace("}:lane:", "}:share:", 1).startswith(share + ":")


def test_all_keys_of_a_partition_carry_its_hash_tag() -> None:
    keys = Keys(7)
    made = [
        keys.meta,
        keys.log,
        keys.fanout,
        keys.queues,
        keys.workers,
        keys.endings,
        keys.flow("f"),
        keys.ended("f"),
        keys.work("q"),
        keys.ready("q"),
        keys.turns("q"),
        keys.share("q:0:w"),
        keys.lane("q:0:w:p"),
        keys.bell("q", "p"),
        keys.worker("w"),
        keys.call("w"),
    ]
    assert all(key.startswith("{flower:7}:") for key in made)
    assert len(set(made)) == len(made)


def test_a_name_cannot_smuggle_in_another_hash_tag() -> None:
    assert Keys(0).work("{flower:1}").startswith("{flower:0}:")
