"""The tables equal the fold of the log, however the log is cut into batches."""

import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flower_engine.model.events.events import AnyEvent
from flower_engine.model.folding.cleanup import spared_tasks
from flower_engine.model.folding.flow_state import FlowState
from flower_engine.model.folding.fold import fold
from flower_engine.model.tasks.status import Status
from flower_engine.model.values.blob_ref import BlobRef
from flower_engine.model.waits.wait_programs import is_wait
from flower_engine.projection.database import Connection
from flower_engine.projection.write.batch import make_batch
from flower_engine.projection.write.projected_positions import Projected
from flower_engine.projection.write.writer import Writer
from fuzzing import examples
from projection.rows import archived, expected, expected_schedules, held, held_schedules
from projection.stories import Story
from projection.story_plans import SHAPES

RESULTS = (b"null", b'{"text":"\\"\\\\ \xc3\xa4","n":[1,2.5,true]}', b'"x"', b"0")
BLOB = BlobRef(sha256="ab" * 32, bytes=70_000, store="api")


def tell(steps: Sequence[tuple[str, int]]) -> Story:
    """A story of these steps; the number of a step chooses among what is possible then."""
    story = Story()
    story.open()
    for verb, number in steps:
        paused = {flow.flow for flow in story.flows().values() if flow.paused is not None}
        ready = [(flow, seq) for flow, seq in story.tasks_of(Status.WAIT) if flow not in paused]
        waits = [one for one in ready if is_wait(story.flows()[one[0]].task(one[1]).planned.program)]
        ready = [one for one in ready if one not in waits]
        running = story.tasks_of(Status.RUNNING)
        if verb in _OF_FLOWS:
            _operate(story, verb, number)
        elif verb == "register":
            shape = () if number % 3 == 2 else SHAPES[number % len(SHAPES)]
            story.register(shape, workflow=f"workflow {number % 3}", **_of_parent(number))
        elif verb == "wait" and waits:
            story.wait(*waits[number % len(waits)], number)
        elif verb == "start" and ready:
            story.start(*ready[number % len(ready)], worker=f"worker-{number % 3}")
        elif verb == "refuse" and story.flows():
            story.refuse(list(story.flows())[number % len(story.flows())], 1)
        elif verb == "schedule":
            story.schedule(number)
        elif verb in _OF_THE_LOG:
            _OF_THE_LOG[verb](story)
        elif running:
            _end(story, verb, number, *running[number % len(running)])
    return story


def _of_parent(number: int) -> dict[str, Any]:
    """What is said of some flows: whose children they are."""
    if number % 2:
        return {}
    parent = "00000000-0000-7000-8000-00000000000f"
    return {
        "parent": parent,
        "parent_task": 1,
        "parent_attempt": number + 1,
        "parent_round": number,
        "trunk": parent,
    }


def _end(story: Story, verb: str, number: int, flow: str, task: int) -> None:
    """What becomes of a running task, or of its progress."""
    match verb:
        case "finish":
            story.finish(flow, task, RESULTS[number % len(RESULTS)], BLOB if number % 4 == 3 else None)
        case "suspend":
            story.suspend(flow, task, message="\t'\\ \"", lost=number % 3)
        case "give back":
            story.give_back(flow, task)
        case "lapse":
            story.lapse(flow, task)
        case "retry":
            story.retry(flow, task)
        case "again":
            story.again(flow, task, number)
        case "flow again":
            story.flow_again(flow, task, number)
        case "progress":
            story.progress(flow, task, number / 11 or None, "a\tnote")
        case _:
            pass


def _operate(story: Story, verb: str, number: int) -> None:
    """An operation on one of the flows, where it is possible."""
    flows = list(story.flows().values())
    if not flows:
        return
    flow = flows[number % len(flows)]
    seqs = [task.planned.seq for task in flow.tasks]
    stand = {status: [seq for seq in seqs if flow.task(seq).status is status] for status in Status}
    held = [seq for seq in seqs if flow.task(seq).is_held]
    free = stand[Status.WAIT] + held
    passed = [seq for seq in seqs if flow.task(seq).ended_as in ("p", "c")]
    given_up = [seq for seq in held if flow.task(seq).gives_up_ms is not None]
    ready = [seq for seq in seqs if flow.task(seq).is_ready]
    under_way = flow.ended_ms is None
    match verb:
        case "rerun" | "unignore" if flow.is_ending:  # of what it was before nothing goes on
            cleanup = sorted(spared_tasks([task.planned for task in flow.tasks]))
            failed = [seq for seq in cleanup if flow.task(seq).is_held]
            if failed and verb == "rerun":
                story.rerun_cleanup(flow.flow, failed)
        case "rerun" if not stand[Status.RUNNING] and not under_way:
            story.rerun(flow.flow, *seqs, parameters={seqs[-1]: {"N": number}}, version=_version(number))
        case "rerun" if stand[Status.SUSPEND] and not (
            (flow.ruled or len(seqs) > 6) and stand[Status.RUNNING]
        ):
            story.rerun(flow.flow, *stand[Status.SUSPEND], version=_version(number))
        case "ignore" if free:
            _ignore(story, flow.flow, free[number % len(free) :], number)
        case "unignore" if passed and not stand[Status.RUNNING]:
            story.unignore(flow.flow, passed[0])
        case "give up" if given_up:
            story.give_up(flow.flow, given_up[0])
        case "time out" if under_way and (ready or stand[Status.RUNNING]):
            story.time_out(flow.flow)
        case "overdue" if ready:
            story.fail_while_waiting(flow.flow, ready[0])
        case _ if under_way:
            _operate_on_all(story, verb, number, flow)
        case _:
            pass


def _ignore(story: Story, flow: str, tasks: list[int], number: int) -> None:
    """One of these tasks, or all of them at once."""
    result = b'{"rows":0}' if number % 2 else b""
    if number % 4 > 1 and len(tasks) > 1:
        story.ignore_all(flow, tasks, result)
    else:
        story.ignore(flow, tasks[0], result)


def _version(number: int) -> str:
    """That of which the tasks are to be then; "": the one they are of."""
    return f"version {number % 3}" if number % 3 else ""


def _operate_on_all(story: Story, verb: str, number: int, flow: FlowState) -> None:
    """An operation on a flow under way as a whole."""
    match verb:
        case "cancel":
            story.cancel(flow.flow)
        case "end":
            story.end(flow.flow, "timeout" if number % 2 else "cancel")
        case "pause" if flow.paused is None:
            story.pause(flow.flow)
            story.resume(flow.flow)
            if number % 2:
                story.pause(flow.flow)
        case "resume" if flow.paused is not None:
            story.resume(flow.flow)
        case "prioritise":
            story.prioritise(flow.flow, number - 3)
        case "lift":
            for task in [one.planned.seq for one in flow.tasks if one.child][:1]:
                story.lift(flow.flow, task)
        case "signal":
            story.signal(flow.flow, "paid" if number % 2 else "packed")
        case "snapshot":
            story.snapshot(flow.flow, lost_events=number % 3)
        case _:
            pass


_OF_THE_LOG: dict[str, Callable[[Story], None]] = {"open": Story.open, "control": Story.control}
_OF_FLOWS = (
    *("rerun", "ignore", "unignore", "cancel", "pause", "resume", "time out", "overdue", "prioritise"),
    *("snapshot", "signal", "give up", "end", "end", "lift"),
)
VERBS = (
    *("register", "start", "start", "start", "finish", "finish", "suspend", "give back", "lapse", "refuse"),
    *("schedule", "schedule", "schedule", "retry", "again", "flow again", "progress", *["wait"] * 5),
    *(*_OF_FLOWS, "rerun", "resume", *_OF_THE_LOG),
)
STEPS = st.lists(st.tuples(st.sampled_from(VERBS), st.integers(0, 11)), min_size=5, max_size=60)


def cut(story: Story, sizes: Sequence[int]) -> Iterator[tuple[int, int]]:
    """(first, behind last) of batches of these sizes, again and again."""
    first = 0
    for size in itertools.cycle(sizes):
        if first >= len(story.events):
            return
        yield first, min(first + size, len(story.events))
        first += size


@pytest.mark.parametrize("kind", get_args(AnyEvent), ids=lambda kind: kind.__name__)
def test_the_stories_have_events_of_every_type(kind: type) -> None:
    assert kind in _types_of_stories(), f"no verb of tests/projection/test_folding.py makes a {kind.__name__}"


@cache
def _types_of_stories() -> set[type]:
    chance = random.Random(1)
    stories = [tell([(chance.choice(VERBS), chance.randrange(12)) for _ in range(60)]) for _ in range(240)]
    return {type(event) for story in stories for event in story.events}


@given(steps=STEPS, sizes=st.lists(st.integers(1, 15), min_size=1, max_size=4))
@settings(max_examples=examples(40), suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_the_tables_equal_the_fold_after_every_batch(
    tables: Connection, steps: list[tuple[str, int]], sizes: list[int]
) -> None:
    story = tell([("register", 1), *steps])
    await _is_projected_rightly(tables, story, sizes)


@pytest.mark.parametrize("size", [1, 2, 1000])
async def test_a_flow_of_every_fate_is_projected_rightly(tables: Connection, size: int) -> None:
    story = Story()
    story.open()
    flow = story.register(SHAPES[2])
    other = story.register(SHAPES[0])
    story.start(flow, 1)
    story.lapse(flow, 1)
    story.start(flow, 1)
    story.give_back(flow, 1)
    story.start(flow, 1)
    story.finish(flow, 1, b"[1]")
    story.start(flow, 2)
    story.start(flow, 3)
    story.suspend(flow, 3)
    story.finish(flow, 2)
    story.run(other)
    story.refuse(other, 1)
    await _is_projected_rightly(tables, story, [size])


@pytest.mark.parametrize("size", [1, 3, 1000])
async def test_what_operators_do_is_projected_rightly(tables: Connection, size: int) -> None:
    story = Story()
    story.open()
    fork = story.register(
        SHAPES[2],
        taken={1: msgspec.Raw(b'{"rows":[1]}')},
        ignored=(2,),
        stand_ins={2: msgspec.Raw(b"[2]")},
        forked_from="x",
        key="k",
        by="alice",
        parameters={"day": "2026-01-05"},
        definition="ab12",
    )
    other = story.register(SHAPES[1], blobs={1: BLOB}, forked_from="x")
    story.snapshot(fork)
    flow = story.register(SHAPES[2])
    story.run(flow)
    story.rerun(flow, 2, 4, parameters={2: {"TABLE": "orders"}})
    story.start(flow, 2)
    story.progress(flow, 2, 0.5, "half")
    story.retry(flow, 2)
    story.start(flow, 2)
    story.suspend(flow, 2)
    story.ignore_all(flow, [2, 4])
    story.unignore(flow, 4)
    story.unignore(flow, 2)
    story.pause(flow)
    story.cancel(flow)
    story.rerun(flow, 2, 4)
    story.run(flow)
    story.time_out(fork)
    story.ignore(fork, 3)
    story.ignore(fork, 4)
    story.rerun(other, 1)
    story.rerun(flow, 1, 4, version="v2", parameters={4: {"N": 1}})
    story.rerun(flow, 2, parameters={2: {"N": 2}})
    story.rerun(flow, 2, version="v3", priority=4)
    story.prioritise(flow, 7)
    story.rerun(flow, 1, version="v2", priority=5)
    story.snapshot(flow)
    story.rerun(flow, 3, version="v2")
    await _is_projected_rightly(tables, story, [size])


@pytest.mark.parametrize("size", [1, 3, 1000])
async def test_what_becomes_of_slots_is_projected_rightly(tables: Connection, size: int) -> None:
    story = Story()
    story.open()
    for number in (0, 1, 2, 0, 3, 6, 9, 9, 11, 1, 4, 7, 10, 10, 0, 2, 5, 8):
        story.schedule(number)
    slots: dict[str, Any] = {
        "slot": 1_790_000_060_000,
        "previous_slot": 1_790_000_000_000,
        "next_slot": 1_790_000_120_000,
    }
    story.run(story.register(SHAPES[0], schedule="00000000-0000-4000-8000-000000000001", **slots))
    await _is_projected_rightly(tables, story, [size])


async def _is_projected_rightly(tables: Connection, story: Story, sizes: Sequence[int]) -> None:
    await tables.execute(
        "TRUNCATE kr_task_stat, kr_flow_stat, kr_schedule, kr_schedule_slot, kr_event, kr_projection"
    )
    row = Projected(partition=0, position=None, installation="here", generation="1", partitions=1)
    await tables.execute("INSERT INTO kr_projection VALUES (0, NULL, 'here', 1, 1)")
    writer, entries = Writer(tables, row), story.entries
    done = 0
    for _, last in cut(story, sizes):
        while done < last:  # a batch ends where snapshots begin or end
            batch = await make_batch(0, entries[done:last])
            assert await writer.write(batch)
            done += len(batch.entries)
            assert writer.position == entries[done - 1].position
            assert await held(tables) == expected(story.events[:done])
            assert await held_schedules(tables) == expected_schedules(story.events[:done])
    assert [position for position, _ in await archived(tables)] == [entry.position for entry in entries]
    assert fold(story.events)
