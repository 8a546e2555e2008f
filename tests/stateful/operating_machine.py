"""Operators of the state machines: calls are done, or refused, exactly where ``expectations.py`` says."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any
from unittest.mock import patch

import pytest

from flower_engine.errors import NeedsEarlierError, NeedsResultsError, NotUnderWayError, RefusedError
from flower_engine.flows.flow_operations import results_of
from flower_engine.flows.matched_maps import earlier_of
from flower_engine.model.definitions.definition import Keying, TaskKeys
from flower_engine.model.folding.flow_state import FlowState
from flower_engine.model.waits.wait_parameters import MAP
from flower_engine.transitions import operator_transitions
from flower_engine.transitions.operator_transitions import Body, Operated, Results
from flower_engine.transitions.restored_flow import Restored
from flower_engine.transitions.task_fields import decode_message, with_parameters
from stateful import expectations
from stateful.machine_calls import MachineCalls
from stateful.plans import HEAVY


class OperatingMachine(MachineCalls):
    """Operations on flows, sent once or twice."""

    def ask_now(self, asked: expectations.Asked, flow: FlowState, sends: int) -> None:
        """Asks for an operation, so many times; it is done, or refused, as it must be."""
        retrying = self.oracle.away(flow)
        expected = expectations.of(asked, flow, retrying)
        before, number = flow.version, next(self.numbers)
        needed = expectations.needed(asked, flow, retrying) if expected is not None else set[int]()
        bodies = {seq: expectations.other_body(flow, seq) for seq in expected or () if asked.with_bodies}
        if needed:
            wrong = {seq: (flow.task(seq).attempt + 1, b"=0") for seq in needed}
            for results in ({}, wrong):
                done = self._operate(asked, flow, number, results=results)
                assert isinstance(done, NeedsResultsError), f"{asked} was done without {needed}: {done}"
                assert set(done.tasks) == needed
        for _ in range(sends):
            done = self._operate(asked, flow, number, results=results_of(flow, sorted(needed)))
            if expected is None:
                assert isinstance(done, RefusedError | NotUnderWayError), f"{asked} was done: {done}"
            else:
                assert isinstance(done, Operated), f"{asked} should be done for {expected}: {done}"
        self._read_log()
        if expected is None:
            assert flow.version == before
        else:
            assert self._is_done(asked, flow, expected, before)
            assert all(body is None or flow.task(seq).planned == body for seq, body in bodies.items())
        self._note_lost_leases()

    def _is_done(
        self, asked: expectations.Asked, flow: FlowState, tasks: set[int], version_before: int
    ) -> bool:
        return expectations.is_done(asked, flow, tasks, version_before)

    def _operate(
        self,
        asked: expectations.Asked,
        flow: FlowState,
        number: int,
        version: int | None = None,
        results: Results | None = None,
    ) -> Operated | Exception:
        """One sending; the same number makes it the same operation sent again."""
        restored = (
            Restored.of(flow) if flow.ended_ms is not None and asked.verb in ("rerun", "unignore") else None
        )
        where = (self.client, self.partition, flow.flow)
        given: dict[str, Any] = {"by": "eve", "version": version}
        match asked.verb:
            case "rerun":
                given |= {"selection": asked.tasks, "scope": asked.scope, "restored": restored}
                given["messages"] = self._messages(asked, flow, restored)
                given["keys"] = self._keys(flow, given["messages"])
                given["bodies"] = self._bodies(asked, flow, restored)
                given["results"] = results
            case "unignore":
                given |= {"tasks": asked.tasks, "restored": restored, "results": results}
            case "ignore":
                given |= {"tasks": asked.tasks, "result": asked.result}
            case "prioritise":
                given["priority"] = expectations.PRIORITY
            case _:
                pass
        with patch(
            "flower_engine.transitions.operator_transitions.uuid.uuid4", lambda: uuid.UUID(int=number)
        ):
            try:
                if asked.scope == "changed":
                    return self._rerun_matched(where, flow, given)
                return self.run(getattr(operator_transitions, asked.verb)(*where, **given))
            except (RefusedError, NotUnderWayError) as error:
                return error

    def _rerun_matched(self, where: Any, flow: FlowState, given: dict[str, Any]) -> Operated:
        """Asked for the items that maps had, and then given those of another moment, it is not done."""
        try:
            return self.run(operator_transitions.rerun(*where, **given))
        except NeedsEarlierError as error:
            maps = error.tasks
        assert all(flow.task(seq).planned.program == MAP for seq in maps)
        right = earlier_of(flow, maps)
        wrong = {**right, maps[0]: (right[maps[0]][0] + " 99:1", right[maps[0]][1])}
        with pytest.raises(NeedsEarlierError):
            self.run(operator_transitions.rerun(*where, **given, earlier=wrong))
        return self.run(operator_transitions.rerun(*where, **given, earlier=right))

    def _bodies(
        self, asked: expectations.Asked, flow: FlowState, restored: Restored | None
    ) -> dict[int, Body]:
        """Those of all tasks in another version."""
        seqs = range(1, len(flow.tasks) + 1) if asked.with_bodies else ()
        return {
            seq: Body.of(flow.workflow, flow.task(seq).planned, message, expectations.other_body(flow, seq))
            for seq, message in self._read_messages(flow, restored, seqs).items()
        }

    def _read_messages(
        self, flow: FlowState, restored: Restored | None, tasks: Sequence[int]
    ) -> Mapping[int, bytes]:
        if not tasks or restored:
            return restored.messages(tasks) if restored else {}
        where = (self.client, self.partition, flow.flow)
        return self.run(operator_transitions.read_messages(*where, tasks)) or {}

    def _messages(
        self, asked: expectations.Asked, flow: FlowState, restored: Restored | None
    ) -> dict[int, tuple[bytes, bytes]]:
        """Their new messages."""
        if not asked.with_message:
            return {}
        messages: dict[int, tuple[bytes, bytes]] = {}
        for task, message in self._read_messages(flow, restored, asked.tasks).items():
            messages[task] = (message, with_parameters(message, expectations.new_parameters(flow, task)))
        return messages

    def _keys(self, flow: FlowState, messages: Mapping[int, tuple[bytes, bytes]]) -> dict[int, TaskKeys]:
        """The keys that follow from them."""
        keying = HEAVY if flow.workflow == "heavy" else Keying()
        new = {task: decode_message(message) for task, (_, message) in messages.items()}
        return {task: keying.keys_of(message.program, message.parameters) for task, message in new.items()}
