"""Another round of a task, or of its flow: what follows when its program raises ``Again``."""

from collections.abc import Mapping

import msgspec

from flower_engine.blobs.blob import take_returned
from flower_engine.errors import ProgramError
from flower_engine.model.definitions.task_message import TaskMessage
from flower_engine.model.tasks.outcome_kinds import OutcomeKind
from flower_engine.model.tasks.raised_errors import encode_error, members
from flower_engine.model.tasks.task_error import TaskError
from flower_engine.model.values.result_json import begin_result, finish_result
from flower_engine.programs.attempt_outcomes import Done, failed
from flower_engine.programs.outcomes import Again
from flower_engine.programs.parameter_binding import Provenance

MAX_GIVEN_BYTES = 64 * 1024
"""Of the parameters of a round, as JSON: they stand in an event, and in Redis while the loop goes on."""
_BLOB = b'"$blob"'


def raised(error: BaseException, message: TaskMessage) -> Done:
    """The outcome of a program that raised: another round if it asked for one, else what ``failed`` says.

    A group of errors asks for one if that is all that it holds. It never raises.
    """
    try:
        asked = _asked(error)
        if asked is not None:
            return _again(asked, message)
    except ProgramError as problem:
        return Done(OutcomeKind.SUSPENDED, encode_error(problem))
    except BaseException as broken:  # noqa: BLE001 # what is given is people's code: anything may come
        return failed(broken, message.no_retry_on)
    return failed(error, message.no_retry_on)


def provenance_in_round(
    message: TaskMessage, provenance: Mapping[str, Provenance]
) -> Mapping[str, Provenance]:
    """Where values of parameters come from, but for those that are given for the round."""
    if not message.given:
        return provenance
    return {name: one for name, one in provenance.items() if name not in message.given}


def _asked(error: BaseException) -> Again | None:
    found = list(members(error))
    one = found[0] if len(found) == 1 else None
    return one if isinstance(one, Again) else None


def _again(asked: Again, message: TaskMessage) -> Done:
    is_of_flow = asked.of == "flow"
    number, most = message.round + 1, message.max_rounds
    if number > most and not is_of_flow:
        problem = TaskError(
            type="TooManyRounds",
            message=f"its program asked for round {number}, and it may have {most}: max_rounds of its"
            " definition. A rerun begins at round 0 with the parameters of the definition",
        )
        return Done(OutcomeKind.SUSPENDED, msgspec.json.encode(problem))
    given = asked.parameters if is_of_flow else {**message.given, **asked.parameters}
    try:
        payload = finish_result(given, begin_result(given), MAX_GIVEN_BYTES)
    except ProgramError as problem:
        if len(begin_result(given)) > MAX_GIVEN_BYTES:
            raise _too_large(len(begin_result(given))) from None
        text = str(problem).replace("result[", "parameters[").replace("; return ", "; give ")
        raise ProgramError(f"raise Again(parameters): {text}") from None
    if _BLOB in payload:
        take_returned()
        raise ProgramError(
            "raise Again(parameters): a Blob cannot be given to another round; store it and give its name, or"
            " return it, and let another task read it"
        )
    if asked.at_ms is not None:
        kind = OutcomeKind.FLOW_AGAIN_AT if is_of_flow else OutcomeKind.AGAIN_AT
        return Done(kind, payload, asked.at_ms)
    return Done(OutcomeKind.FLOW_AGAIN if is_of_flow else OutcomeKind.AGAIN, payload, asked.after_ms)


def _too_large(size: int) -> ProgramError:
    return ProgramError(
        f"raise Again(parameters): all that is given to the round is {size} bytes of JSON, {MAX_GIVEN_BYTES}"
        " may be: store it elsewhere and give where it is"
    )
