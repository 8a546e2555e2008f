"""Answers to approvals: checked against what the approval asks for, and who may give them."""

from collections.abc import Collection
from typing import Any, cast

from flower_engine.errors import FlowEndedError, NotAskedError, ParameterFault, ParametersError, RefusedError
from flower_engine.flows.flow_operations import Operator
from flower_engine.flows.history import find_state
from flower_engine.flows.payloads import encoded_payload
from flower_engine.model.definitions.task_message import TaskMessage
from flower_engine.model.parameters.value_schemas import faults_of_value
from flower_engine.model.waits.approval_terms import Asked
from flower_engine.model.waits.wait_parameters import APPROVAL
from flower_engine.model.waits.wait_programs import known_parameters
from flower_engine.transitions import operator_transitions
from flower_engine.transitions.operator_transitions import Operated
from flower_engine.transitions.task_fields import decode_message


class Answerer(Operator):
    """Answers an approval of one flow for somebody."""

    async def answer(
        self, task: int, given: Any, attempt: int | None = None, *, roles: Collection[str] | None = ()
    ) -> Operated:
        """Gives an answer. ``attempt``: the one in which it was asked, as whoever answers has seen it;
        ``roles``: what they have of these besides their name; None: it does not matter, as a link was made
        for this name.

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
                await self._check(message, given, roles)
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

    async def _registrant(self) -> str:
        """Who registered the flow; of a child, the trunk of its tree."""
        registered = (await self.state()).registered
        if not registered.trunk:
            return registered.by
        return (await find_state(self._stores, self._partition, registered.trunk)).registered.by

    async def _check(self, message: TaskMessage, given: Any, roles: Collection[str] | None) -> None:
        asked = Asked.of_parameters(known_parameters(message))
        registered_by = await self._registrant() if asked.not_registrant else ""
        why = asked.refusal(self._by, roles, registered_by)
        if why is not None:
            raise NotAskedError(f"flow {self._flow}: {why}")
        faults = list(faults_of_value(asked.form, given))
        if faults:
            raise ParametersError(
                [ParameterFault(f"the answer: {said}", f"#/answer{place}") for place, said in faults]
            )


def _is_no(given: Any) -> bool:
    return isinstance(given, dict) and cast("dict[str, Any]", given).get("approved") is False
