"""Answers to approvals: checked against what the approval asks for, and who may give them."""

from typing import Any, cast

from flower_engine.errors import FlowEndedError, NotAskedError, ParameterFault, ParametersError, RefusedError
from flower_engine.flows.flow_operations import Operator
from flower_engine.flows.payloads import encoded_payload
from flower_engine.model.task_message import TaskMessage
from flower_engine.model.value_schemas import faults_of_value
from flower_engine.model.wait_programs import APPROVAL, DEFAULT_FORM, known_parameters
from flower_engine.transitions import operator_transitions
from flower_engine.transitions.operator_transitions import Operated
from flower_engine.transitions.task_fields import decode_message


class Answerer(Operator):
    """Answers an approval of one flow for somebody."""

    async def answer(self, task: int, given: Any, attempt: int | None = None) -> Operated:
        """Gives an answer. ``attempt``: the one in which it was asked, as whoever answers has seen it.

        Raises:
            ParametersError: it is not what the approval asks for.
            PayloadTooLargeError: it is larger than 64 KiB.
            NotAskedError: this name is not among those that are asked.
            FlowEndedError: the flow has ended.
            RefusedError, MovedError: see ``transitions/operator_transitions.py``.
            UnknownFlowError: there is no such flow.
        """
        answer = encoded_payload(given, "#/answer")
        done = await operator_transitions.done_before(self._stores.redis, self._partition, self._operation)
        if done is not None:
            return done

        async def call() -> Operated:
            message = decode_message((await self._messages(None, [task]))[task])
            if message.program == APPROVAL:
                await self._check(message, given)
            return await operator_transitions.answer(
                *self._where(),
                by=self._by,
                task=task,
                answer=answer,
                is_no=_is_no(given),
                attempt=attempt,
                version=self._version,
                operation=self._operation,
            )

        try:
            return await self._under_way(call)
        except RefusedError as error:
            if error.reason != "ended":
                raise
            raise FlowEndedError(f"flow {self._flow}: it has ended; nobody is asked any more") from None

    async def _check(self, message: TaskMessage, given: Any) -> None:
        asked = known_parameters(message)
        names: list[str] = asked.get("roles") or []
        if names and self._by not in names:
            raise NotAskedError(
                f"flow {self._flow}: {self._by!r} is not among those who are asked: {', '.join(names)}"
            )
        if asked.get("not_registrant") and (await self.state()).registered.by == self._by:
            raise NotAskedError(
                f"flow {self._flow}: {self._by!r} registered the flow, and may not approve it as well"
            )
        faults = list(faults_of_value(asked.get("form", DEFAULT_FORM), given))
        if faults:
            raise ParametersError(
                [ParameterFault(f"the answer: {said}", f"#/answer{place}") for place, said in faults]
            )


def _is_no(given: Any) -> bool:
    return isinstance(given, dict) and cast("dict[str, Any]", given).get("approved") is False
