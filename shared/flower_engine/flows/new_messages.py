"""What a rerun makes of the messages of tasks to which it gives other parameters."""

from collections.abc import Mapping
from typing import NamedTuple

from flower_engine.flows.parameter_changes import Change, checked_changes, warnings_of
from flower_engine.flows.stores import Stores
from flower_engine.flows.workflow_definitions import keying_of
from flower_engine.model.definitions.definition import TaskKeys
from flower_engine.transitions.task_fields import decode_message, with_parameters

Changes = Mapping[int, Change]
"""What is to change of tasks' parameters, by taskExecSeq."""


class NewMessages(NamedTuple):
    """By task its message as it is and the new one; the keys by which it waits and is counted from then on;
    and what could not be checked."""

    by_task: Mapping[int, tuple[bytes, bytes]] = {}
    keys: Mapping[int, TaskKeys] = {}
    warnings: tuple[str, ...] = ()


async def new_messages(stores: Stores, found: Mapping[int, bytes], changes: Changes) -> NewMessages:
    """The messages ``found`` of the tasks of one flow, with the changes.

    Raises:
        ParametersError: a task or its program cannot take them.
    """
    tasks = {seq: decode_message(message) for seq, message in found.items()}
    programs = {seq: task.program for seq, task in tasks.items()}
    given = await stores.programs.checked(
        set(programs.values()),
        lambda versions: checked_changes(
            {seq: (task.program, task.parameters, task.refs) for seq, task in tasks.items()},
            changes,
            versions,
        ),
    )
    by_task = {
        seq: (now, with_parameters(now, given[seq].values, given[seq].unset)) for seq, now in found.items()
    }
    return NewMessages(by_task, await _keys(stores, by_task), tuple(warnings_of(programs, given)))


async def _keys(stores: Stores, messages: Mapping[int, tuple[bytes, bytes]]) -> dict[int, TaskKeys]:
    new = {seq: decode_message(message) for seq, (_, message) in messages.items()}
    if not new:
        return {}
    keying = await keying_of(stores, next(iter(new.values())).workflow)
    return {seq: keying.keys_of(task.program, task.parameters, refs=task.refs) for seq, task in new.items()}
