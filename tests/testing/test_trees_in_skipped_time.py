"""In tests of workflows time moves to whatever is due next in a tree of flows: above, below and beside."""

from datetime import timedelta

from flower_engine import RetryPolicy, program, sleep, workflow
from flower_engine.testing import FlowerTest, hangs


@program("trees.heat")
def heat(place: str) -> str:
    return f"hot {place}"


@program("trees.cool")
def cool(place: str) -> str:
    return f"cold {place}"


@program("trees.say")
def say(heated: str) -> str:
    return f"it is {heated}"


@workflow("trees.furnace")
def furnace(place: str) -> str:
    """What is cooled again whatever comes, though that may take some tries."""
    heated = heat.step(place)
    cool.having(finally_=True, after=[heated], retry=RetryPolicy(3, delay="10m")).step(place)
    return heated


@workflow("trees.works")
def works(place: str) -> str:
    """A furnace, in a sub-flow, and a day beside it."""
    heated = furnace.having(name="heated").step(place)
    waited = sleep("1d")
    return say.having(after=[waited]).step(heated)


@workflow("trees.town")
def town(place: str) -> str:
    """Works, in a sub-flow."""
    return works.having(name="built").step(place)


@workflow("trees.street")
def street(places: list[str]) -> list[str]:
    """A furnace for each place, one at a time."""
    return furnace.having(name="heated", limit=1, tolerate=0).map(places)


def test_a_child_that_was_let_in_while_its_map_was_held_begins_when_that_goes_on(flower: FlowerTest) -> None:
    flower.stub(heat, ValueError("no coal"))
    run = flower.start(street, ["here", "there"])
    assert run.settle() == "Suspend"
    flower.stub(heat, "warm")
    run.rerun()
    assert run.finish() == ["warm", "warm"]


def test_a_child_begins_when_the_one_of_before_has_cleaned_up_long_after(flower: FlowerTest) -> None:
    heats = flower.stub(heat, hangs(), "warm")
    flower.stub(cool, ConnectionError("no water"), "cold", "cold")
    run = flower.start(works, "here")
    run.work()
    run.rerun("heated", scope="only", new_children=True)
    flower.skip("9m")
    assert len(heats.calls) == 1  # it cleans up until a minute later
    assert run.finish() == "it is warm"
    assert run.skipped == timedelta(days=1)


def test_a_flow_goes_on_with_what_is_due_above_and_below_it(flower: FlowerTest) -> None:
    flower.stub(cool, ConnectionError("no water"), ConnectionError("no water"), "cold")
    run = flower.start(town, "here")
    run.work()
    works_ = run.child("built")
    assert works_.child("heated").finish() == "hot here"  # below, which asks again twice
    assert run.skipped == timedelta(minutes=20)
    assert works_.finish() == "it is hot here"  # beside
    assert run.finish() == "it is hot here"
    assert run.skipped == timedelta(days=1)


def test_what_is_looked_at_in_vain_is_nothing_to_skip_to(flower: FlowerTest) -> None:
    run = flower.start(town, "here")
    run.pause()
    assert run.settle() == "Wait"
    assert run.skipped == timedelta()
    run.resume()
    run.finish()
    furnace_ = run.child("built").child("heated")
    flower.stub(heat, ValueError("no coal"))
    furnace_.rerun("heated", up=True)  # its parents await it within half a minute
    assert furnace_.settle() == "Suspend"
    assert run.settle() == "Suspend"
    assert run.skipped == timedelta(days=1)
