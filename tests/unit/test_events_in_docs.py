"""What docs/lifecycle.md says of events is what the table of their meanings says."""

import re
from itertools import chain
from pathlib import Path
from typing import Any

from flower_engine.model.events.event_meaning import MEANINGS, STANDING, Meaning, Move
from flower_engine.model.tasks.status import Status

TEXT = (Path(__file__).parents[2] / "docs" / "lifecycle.md").read_text()
HEAD = ["| event | tasks | sets | forgets | of the flow |", "|---|---|---|---|---|"]
ENDS = {"": "", "said": "its end, if it says so (`ends`)", "always": "its end", "over": "its end is over"}
ABOUT = {
    "log": "of no flow",
    "schedule": "of a schedule, and of no flow",
    "refusal": "changes nothing",
    "flow": "",
    "registration": "begins, as it was planned",
    "snapshot": "begins anew, as it was found",
}


def row(kind: type[Any], meaning: Meaning) -> str:
    """The line of an event in the table of the document."""
    arrived = [STANDING[move.to].since for move in meaning.moves if move.to is not None]
    each = [f"{fact} (by task)" for fact in dict.fromkeys(meaning.of_each.values())] + [
        f"{fact} (of all)" for fact in meaning.of_all
    ]
    sets = dict.fromkeys([*meaning.sets, *filter(None, arrived), *each])
    flow = [ABOUT[meaning.about], *(f"`{fact}`" for fact in meaning.flow_sets)]
    flow += [*(f"forgets `{fact}`" for fact in meaning.flow_forgets), ENDS[meaning.end]]
    cells = (
        f"`{kind.__struct_config__.tag}`",
        "; ".join(map(moved, meaning.moves)),
        ", ".join(f"`{fact}`" for fact in sets),
        ", ".join(f"`{fact}`" for fact in meaning.forgets),
        ", ".join(filter(None, flow)),
    )
    return re.sub(r"  +", " ", f"| {' | '.join(cells)} |")


def moved(move: Move) -> str:
    """Where an event takes tasks."""
    was = " or ".join(status.word for status in move.was)
    way = f"{was} -> {move.to.word}" if move.to is not None else f"{was}, and stays"
    return way if move.tasks == "task" else f"`{move.tasks}`: {way}"


def test_the_table_of_events_is_the_table_of_meanings() -> None:
    table = "\n".join([*HEAD, *(row(kind, meaning) for kind, meaning in MEANINGS.items())])
    assert table in TEXT, f"docs/lifecycle.md must say what the events mean:\n{table}"


def test_the_statuses_have_what_the_document_says() -> None:
    facts = [
        f"{status.word} has {', '.join(f'`{fact}`' for fact in standing.facts)}"
        for status, standing in STANDING.items()
        if standing.facts
    ]
    assert "; ".join(facts) in " ".join(TEXT.split())


def test_the_picture_of_a_task_shows_the_moves_of_the_table() -> None:
    picture = TEXT.split("## A task")[1].split("```")[1]
    drawn = {
        (was, to, event)
        for was, to, said in re.findall(r"^ +(\w+) --> (\w+): (.*)$", picture, re.MULTILINE)
        for event in re.findall(r"(?:tasks?|flow)\.[a-z_]+", said)
    }
    told = {
        (was.word, move.to.word, str(kind.__struct_config__.tag))
        for kind, meaning in MEANINGS.items()
        if meaning.about == "flow"
        for move in meaning.moves
        for was in move.was
        if move.to is not None and move.to is not was
    }
    in_text = ("flow.cancelled", "flow.ending", "flow.timed_out", "tasks.ignored")
    beside = {move for move in told if move[2] in in_text}
    assert drawn == told - beside


def test_every_status_names_the_events_that_lead_to_it() -> None:
    """In ``model/tasks/status.py``, where people look first."""
    source = (Path(__file__).parents[2] / "shared/flower_engine/model/tasks/status.py").read_text()
    named = {
        name: set(re.findall(r"(?:tasks?|flow)\.[a-z_]+", comment))
        for name, comment in re.findall(
            r"^    ([A-Z]+) = (?:\(\s+)?\d+  # (.*(?:\n +# .*)*)$", source, re.MULTILINE
        )
    }
    told = {
        status.name: {
            str(kind.__struct_config__.tag)
            for kind, meaning in MEANINGS.items()
            if status in chain.from_iterable([move.to] for move in meaning.moves)
        }
        for status in Status
    }
    told["WAIT"].add("flow.registered")
    assert named == told
