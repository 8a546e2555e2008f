"""What a storm is judged by sees a chain of maps whose items are linked wrongly, or counted twice."""

import msgspec
import pytest

from chaos.chains_verdict import judge_chains
from flower_engine.model.events.attempt_events import TaskFinished, TaskStarted
from flower_engine.model.events.events import AnyEvent
from flower_engine.model.folding.flow_state import FlowState, FoldError
from flower_engine.model.folding.fold import fold_one
from flower_engine.model.tasks.status import Status
from projection.golden_rows import events, story

FLOW = "00000000-0000-7000-8000-000000000001"
AT = 1_790_000_004_000


def chain(*run: int, listed: bytes | None = None) -> dict[str, FlowState]:
    """A chain of two maps (tasks 1 and 2) of two elements each (items 3, 4 and 5, 6), of which these items
    have run, in this order; ``listed``: what the second map came to."""
    history: list[AnyEvent] = events(story("task.expanded/a-chain"))
    for task in run:
        v = len(history)  # the log's opening has no version
        lease, result = f"{task}-0", msgspec.Raw(b"%d" % ((task - 3) % 2))
        started = TaskStarted(at=AT, flow=FLOW, v=v, task=task, attempt=1, lease=lease, worker="w1")
        finished = TaskFinished(at=AT, flow=FLOW, v=v + 1, task=task, attempt=1, lease=lease, result=result)
        history += [started, finished]
    flows: dict[str, FlowState] = {}
    for event in history:
        fold_one(flows, event)
    if listed is not None:
        behind = flows[FLOW].task(2)
        behind.status, behind.result = Status.FINISH, listed
    return flows


def test_a_chain_that_came_to_its_end_is_right() -> None:
    assert list(judge_chains(chain(3, 5, 4, 6, listed=b"[0,1]"))) == []
    assert list(judge_chains(chain(4, 6, listed=b"[1]"))) == []


@pytest.mark.parametrize("listed", [b"[0,0,1]", b"[1,0]", b"[0]", b"[0,2]"])
def test_what_is_counted_twice_or_not_at_all_is_seen(listed: bytes) -> None:
    (problem,) = judge_chains(chain(3, 4, 5, 6, listed=listed))
    assert "map 2 lists" in problem


def test_items_that_wait_for_others_than_their_own_are_seen() -> None:
    flows = chain(3, 4, 5, 6, listed=b"[0,1]")
    item = flows[FLOW].task(5)
    item.planned = msgspec.structs.replace(item.planned, depends_on=(4,))
    (problem,) = judge_chains(flows)
    assert "do not wait for those of map 1" in problem


def test_a_storm_without_a_chain_is_seen() -> None:
    assert list(judge_chains(chain(3, 4))) == ["no chain of maps came to its end"]


def test_an_item_that_begins_before_the_one_before_it_has_ended_is_refused_by_the_fold() -> None:
    with pytest.raises(FoldError, match=r"task 5: started as attempt 1 while it is Wait.*1 open"):
        chain(4, 5)
