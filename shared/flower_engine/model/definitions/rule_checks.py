"""What is wrong with the rules of a definition's tasks, and with what they say of their own failure."""

from collections.abc import Iterator, Sequence

import msgspec

from flower_engine.model.definitions.definition_references import DefinitionReferences
from flower_engine.model.parameters.references import holds_references
from flower_engine.model.tasks.rule_texts import (
    CANCELLING,
    GIVE_UP,
    HOLD,
    ON_FAILURE,
    PASS,
    RULES,
    hold_ms,
    known_rule,
)
from flower_engine.model.tasks.rules import FAILED, FINISHED, READY, SETTLED
from flower_engine.model.tasks.task_spec import MAX_DURATION_MS, TaskSpec
from flower_engine.model.values.quoting import short
from flower_engine.model.values.result_json import MAX_INTEGER_BITS
from flower_engine.model.values.storable import unstorable_in
from flower_engine.model.waits.wait_parameters import SUBFLOW

MAX_STAND_IN_BYTES = 65_536
"""Of JSON: what a result may have that is kept with its flow."""

_encode = msgspec.json.Encoder().encode


def problems_of_rules(
    name: str, tasks: Sequence[TaskSpec], references: DefinitionReferences
) -> Iterator[str]:
    """What is wrong, as sentences that name the row; ``tasks`` by task_seq, as ``references`` has them."""
    for index, task in enumerate(tasks):
        if task.rule == READY and task.on_failure == HOLD and task.stand_in is None and not task.finally_:
            continue
        row = f"row (task_id {name!r}, task_seq {task.task_seq})"
        yield from (f"{row}{problem}" for problem in _of_rule(index, tasks, references))
        yield from (f"{row}{problem}" for problem in _of_failure(task))


def rule_in_flows(task: TaskSpec) -> str:
    """The rule by which a task of a flow starts: what cleans up is ``settled`` unless it says another."""
    return SETTLED if task.finally_ and task.rule == READY else task.rule


def _of_rule(index: int, tasks: Sequence[TaskSpec], references: DefinitionReferences) -> Iterator[str]:
    task = tasks[index]
    said = rule_in_flows(task)
    rule = known_rule(said)
    if rule is None:
        yield f" has the rule {short(task.rule)!r}, which is none of {', '.join((*RULES, *CANCELLING))}"
        return
    if rule.word in (READY, FINISHED):
        return
    before = _dependencies(index, tasks, references)
    dependencies = len(before)
    if not dependencies:
        beside = "" if task.when is None else " beside its decision"
        what = "cleans up (finally)" if task.finally_ else f"has the rule {said!r}"
        yield f" {what} but depends on no task{beside}: say which in depends_on"
    elif rule.most > dependencies:
        yield f" has the rule {task.rule!r} but depends on {dependencies} only"
    for other in tasks if rule.word == FAILED else ():
        if other.task_seq in before and other.program == SUBFLOW and other.on_failure not in (GIVE_UP, PASS):
            yield (
                f" has the rule {task.rule!r} behind the sub-flow task_seq {other.task_seq}, which is held"
                " when its child is, and goes on with it: let that say on_failure give_up or pass"
            )
    for use in references.of_tasks[index].uses:
        if use.form.is_needed:
            yield (
                f": parameters{use.at}: it needs the result of task {use.form.name!r}, but by the rule"
                f' {said!r} it may start without: give the reference "optional": true or a "default" (in'
                " Python: a parameter that has one, or either(..., what it gets instead))"
            )


def _of_failure(task: TaskSpec) -> Iterator[str]:
    on_failure = task.on_failure
    held = hold_ms(on_failure)
    if held is not None:
        if not 0 < held <= MAX_DURATION_MS:
            yield f" has on_failure {on_failure!r}; the time must be more than 0 and at most ten years"
    elif on_failure not in (HOLD, GIVE_UP, PASS):
        yield f" has on_failure {short(on_failure)!r}, which is none of {', '.join(ON_FAILURE)} (as hold:2h)"
    if task.stand_in is None:
        return
    fault = unstorable_in(task.stand_in, MAX_INTEGER_BITS)
    if on_failure != PASS:
        yield f" has a stand_in with on_failure {short(on_failure)!r}: one stands in with 'pass' only"
    elif fault is not None:
        yield f" has a stand_in that {fault.what}{fault.place}; give {fault.instead}"
    elif holds_references(task.stand_in):
        yield " has a stand_in with a reference in it; it is the result as it stands"
    elif (size := len(_encode(task.stand_in))) > MAX_STAND_IN_BYTES:
        yield f" has a stand_in of {size} bytes of JSON; give at most {MAX_STAND_IN_BYTES}"


def _dependencies(index: int, tasks: Sequence[TaskSpec], references: DefinitionReferences) -> set[int]:
    """The task_seqs that a task depends on, without the decision whose branch it is: no rule counts that."""
    said = tasks[index].depends_on
    if said is None:
        said = (tasks[index - 1].task_seq,) if index else ()
    when = tasks[index].when
    return {*said, *references.producers(index).values()} - ({when[0]} if when else set())
