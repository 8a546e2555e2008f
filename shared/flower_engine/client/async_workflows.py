"""``client.workflows``, for code with asyncio."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from flower_engine.client import workflow_calls
from flower_engine.client.async_schedules import Runner
from flower_engine.client.flow_values import Deployed, WorkflowEntry
from flower_engine.client.wanted_flows import document_of, schedules_of

if TYPE_CHECKING:
    from flower_engine.authoring.workflow import Workflow


class AsyncWorkflows:
    """The definitions; ``client.workflows``."""

    def __init__(self, client: Runner) -> None:
        self._client = client

    async def __aiter__(self) -> AsyncIterator[WorkflowEntry]:
        """Every workflow, by name."""
        cursor = None
        while True:
            page, cursor = await self._client.run(workflow_calls.page(cursor, self._client.patience()))
            for entry in page:
                yield entry
            if cursor is None:
                return

    async def get(self, name: str) -> dict[str, Any]:
        """The definition, as the API has it; raises UnknownWorkflowError."""
        return await self._client.run(workflow_calls.get(name, self._client.patience()))

    async def put(self, workflow: "Mapping[str, Any] | Workflow[..., Any]") -> list[str]:
        """Defines a workflow (in Python, or its document), or replaces it as a whole; returns what the API
        warns of.

        Raises:
            DefinitionError: it cannot be run as defined; names every problem.
        """
        return await self._client.run(workflow_calls.put(document_of(workflow), self._client.patience()))

    async def deploy(
        self,
        source: str,
        *workflows: "Mapping[str, Any] | Workflow[..., Any]",
        schedules: Sequence[Mapping[str, Any]] = (),
        prune: bool = False,
        check: bool = False,
        ahead: bool = False,
        expected: Mapping[str, str | None] | None = None,
        expected_schedules: Mapping[str, str | None] | None = None,
    ) -> Deployed:
        """Brings workflows into use, all or none, and says what that changed.

        Args:
            source: where they come from.
            workflows: in Python, whose schedules come with them, or their documents.
            schedules: more of them, as documents.
            prune: delete those that an earlier deploy of the source brought, and that are not here.
            check: only say what would be done.
            ahead: workers that take them come later: what no live version of a program takes is a warning.
            expected: that of the plan that was agreed to; refused if a workflow stands otherwise now.
            expected_schedules: the same of schedules.

        Raises:
            DefinitionError: one cannot be run as defined; names every problem of all.
            RefusedError: a workflow has moved since ``expected``.
        """
        documents = list(map(document_of, workflows))
        more: dict[str, Any] = {"prune": prune, "check": check, "ahead": ahead or None, "expected": expected}
        own = [one for workflow in workflows for one in schedules_of(workflow)]
        more["schedules"] = [*own, *schedules]
        more["expectedSchedules"] = expected_schedules
        return await self._client.run(
            workflow_calls.deploy(source, documents, self._client.patience(), **more)
        )

    async def delete(self, name: str) -> bool:
        """Deletes the definition, not its flows; False if there was none."""
        return await self._client.run(workflow_calls.delete(name, self._client.patience()))
