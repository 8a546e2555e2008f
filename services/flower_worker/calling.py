"""Calls a program with a task's parameters, and makes what came of it into an outcome's kind and JSON."""

from typing import Any

import msgspec

from flower_engine.errors import ProgramError
from flower_engine.log.task_fields import TaskMessage
from flower_engine.log.working import OutcomeKind
from flower_engine.model.sanitise import encode_error, encode_result
from flower_engine.programs.context import Context
from flower_engine.programs.registry import Program

decode_message = msgspec.json.Decoder(TaskMessage).decode

Done = tuple[OutcomeKind, bytes]
"""The kind of an outcome and its payload."""


def make_arguments(
    program: Program, message: TaskMessage, *, flow: str, task: int, attempt: int, worker: str
) -> dict[str, Any]:
    """The keyword arguments for a program that wants its context.

    Raises:
        ParameterError: the task's parameters do not fit the program.
    """
    arguments = program.binder.bind(message.parameters)
    name = program.binder.context_parameter
    if name is not None:
        arguments[name] = Context(
            flow=flow,
            task=task,
            attempt=attempt,
            workflow=message.workflow,
            task_seq=message.task_seq,
            program=program.name,
            worker=worker,
        )
    return arguments


def call_blocking(program: Program, arguments: dict[str, Any]) -> Done:
    """Runs a program that is no coroutine, to its end; never raises."""
    try:
        return OutcomeKind.FINISHED, encode_result(program.function(**arguments))
    except BaseException as error:  # noqa: BLE001 # SystemExit of a program must not end the worker
        return OutcomeKind.SUSPENDED, encode_error(error)


def unknown_program(name: str) -> ProgramError:
    """For a task whose program is not registered here, though the claim named those that are."""
    return ProgramError(f"program {name!r} is not registered in this worker; it names what it serves")
