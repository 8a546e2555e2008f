"""Calls a program that is no coroutine."""

from collections.abc import Callable
from typing import Any

import msgspec

from flower_engine.errors import ProgramError
from flower_engine.model.definitions.task_message import TaskMessage
from flower_engine.model.values.result_json import MAX_RESULT_BYTES, begin_result
from flower_engine.programs.attempt_outcomes import Done, finished
from flower_engine.programs.registry import RegisteredProgram
from flower_engine.programs.rounds import raised
from flower_engine.runtime.process_forks import end_copy, forks

decode_message = msgspec.json.Decoder(TaskMessage).decode

Say = Callable[[str], None]


def call_blocking(
    program: RegisteredProgram,
    message: TaskMessage,
    arguments: dict[str, Any],
    most_bytes: int = MAX_RESULT_BYTES,
) -> Done:
    """Runs a program that is no coroutine, to its end; never raises. What it forks off does not return.

    ``most_bytes``: of its result, as JSON.
    """
    before = forks()
    try:
        result = program.function(**arguments)
        end_copy(before)
        return finished(result, begin_result(result), most_bytes)
    except BaseException as error:  # noqa: BLE001 # SystemExit of a program must not end the worker
        end_copy(before, error)
        return raised(error, message)


def unknown_program(name: str) -> ProgramError:
    """For a task whose program is not registered here, though the claim named those that are."""
    return ProgramError(f"program {name!r} is not registered in this worker; it names what it serves")
