"""Workflows that vote, get mail, hold what fails for a time, and clean up; and what they have come to."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import msgspec

from acceptance.running import RunningEngine
from flower_engine.model.events.events import AnyEvent
from flower_engine.model.events.wait_events import FlowSignalled, TaskAnswered, TaskVoted

VOTING, BOXED, HOLDING, CLEANING = "voting", "boxed", "holding", "cleaning"
KEYS = 3
"""Of mail: ``k0``, ``k1``..."""
NAMES = 2
"""How many have to answer an approval of ``VOTING``."""
MAIL = "mail"
"""What a signal by which flows get mail is called."""


_CLEANS_UP: dict[str, Any] = {"rule": "settled", "finally": True}


def _task(seq: int, *depends_on: int, **more: Any) -> dict[str, Any]:
    return {"taskSeq": seq, "program": "trace", "dependsOn": list(depends_on), **more}


def _fails(share: float) -> dict[str, Any]:
    return {"parameters": {"fails": share}}


def define_ending(engine: RunningEngine) -> None:
    """Brings them into use; those that decide must be there."""
    votes = {"program": "@approval", "parameters": {"of": NAMES}}
    engine.define(
        VOTING,
        [
            _task(1),
            _task(2, 1, **votes),
            _task(3, 1, **votes),
            _task(4, 2, 3, rule="any"),
            _task(5, 2, 3, 4, **_CLEANS_UP),
        ],
    )
    mail = [{"program": "@event", "parameters": {"name": MAIL, "key": f"k{key}"}} for key in range(KEYS)]
    engine.define(BOXED, [*(_task(seq, **one) for seq, one in enumerate(mail, 1)), _task(9, 1, 2, 3)])
    engine.define(
        HOLDING,
        [
            _task(1, **_fails(0.4), onFailure="hold:1"),
            _task(2, **_fails(0.4), onFailure="give_up", retry={"maxAttempts": 2, "delaySeconds": 0.05}),
            _task(3, **_fails(0.4), onFailure="pass", standIn=0),
            _task(4, 1, 2, 3, rule="at_least:2:cancel"),
            _task(5, 1, 2, rule="failed"),
            _task(6, 4, 5, rule="settled"),
        ],
    )
    cleaning = [
        _task(1),
        _task(2, 1, program="@flow", parameters={"workflow": "small"}),
        _task(3, 1, parameters={"seconds": 0.5, "fails": 0.2}),
        _task(4, 1, 2, 3, **_CLEANS_UP),
        _task(5, 4, program="@flow", parameters={"workflow": "small"}),
    ]
    engine.ask("PUT", f"/workflows/{CLEANING}", {"tasks": cleaning, "timeoutSeconds": 20})


def judge_ending(events: Sequence[AnyEvent], first: Collection[str]) -> Iterator[str]:
    """Each name voted once in an asking, and who answered last ends it with all of their names; mail for the
    first one (``first``: the ids) came to one flow at most."""
    votes = Counter((one.flow, one.task, one.attempt, one.by) for one in events if isinstance(one, TaskVoted))
    yield from (f"vote {one} counted {count} times" for one, count in votes.items() if count != 1)
    has_voted = False
    for event in events:
        if isinstance(event, TaskAnswered) and (voted := _voters(votes, event)):
            has_voted = True
            by: list[str] = msgspec.json.decode(event.result)["by"]
            if sorted(by) != sorted({*voted, event.by}) or len(by) != NAMES:
                yield f"flow {event.flow} task {event.task}: {by} answered, and {voted} had voted"
    came = Counter(one.id for one in events if isinstance(one, FlowSignalled))
    yield from (f"mail {one} came to {came[one]} flows" for one in first if came[one] > 1)
    if not has_voted:
        yield "nobody voted"
    if not any(came[one] for one in first):
        yield "no mail came"


def _voters(votes: Counter[tuple[str, int, int, str]], of: TaskAnswered) -> list[str]:
    return [
        by for flow, task, attempt, by in votes if (flow, task, attempt) == (of.flow, of.task, of.attempt)
    ]
