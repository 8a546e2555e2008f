"""What a flow returns: its workflow's ``returns``, with the results of its tasks once it has finished."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import msgspec

from flower_engine.errors import (
    BlobStoreError,
    MissingBlobError,
    ParameterError,
    SettingsError,
)
from flower_engine.flows.sources import Definitions
from flower_engine.model.parameters.reference_forms import FormError, From, form_of
from flower_engine.model.parameters.references import NoValueError, bound, resolved_value
from flower_engine.model.tasks.status import Status
from flower_engine.model.values.blob_ref import BlobRef
from flower_engine.projection.archive.histories import told
from flower_engine.projection.read.views import FlowView, TaskView

Fetch = Callable[[BlobRef], Awaitable[bytes]]
"""Reads the content of a blob."""

_MOST_BYTES = 8 << 20  # of blobs, read for one flow


async def add_result(
    definitions: Definitions, flow: FlowView, fetch: Fetch, turns: asyncio.Semaphore
) -> None:
    """Gives a flow that has finished its result, or says why it has none. One that has ended with tasks that
    were given up has its result, too, where all that it returns is there.

    A result of a task that lies in a blob is fetched where only a part of it, or more than it, is returned;
    one that is all that is returned stays where it is, and the flow says where. ``turns``: who may have
    blobs in memory.

    Raises:
        psycopg.Error, StoreUnavailableError: the version of its workflow cannot be read.
    """
    has_given_up = flow.exec_status == Status.SUSPEND and flow.finished_ts is not None
    if not (flow.exec_status == Status.FINISH or has_given_up) or not flow.workflow_version:
        return
    returns = await definitions.returns(flow.task_id, flow.workflow_version)
    if returns is None:
        return
    try:
        parameters = msgspec.json.decode(flow.parameters, type=dict[str, Any] | None)
        asked = bound({"": returns}, parameters or {})[""]
        results = _Results(flow, "what the flow returns")
        flow.result_blob = results.blob_of(asked)
        if flow.result_blob is None:
            flow.result = msgspec.Raw(await _value(asked, results, fetch, turns))
    except ParameterError as error:
        flow.result_problem = None if has_given_up else str(error)
    except (FormError, msgspec.MsgspecError, RecursionError) as error:  # somebody edited the rows
        flow.result_problem = f"what the flow returns cannot be told: {told(error)}"


async def value_of(asked: Any, flow: FlowView, fetch: Fetch, turns: asyncio.Semaphore, what: str) -> bytes:
    """The JSON of a value that may refer to results of the flow's tasks; ``what`` begins the sentences of
    errors.

    Raises:
        ParameterError: something of it is not there, cannot be read now, or is too large.
    """
    return await _value(asked, _Results(flow, what), fetch, turns)


async def _value(asked: Any, results: "_Results", fetch: Fetch, turns: asyncio.Semaphore) -> bytes:
    """The JSON of what is asked for.

    Raises:
        ParameterError: something of it is not there, cannot be read now, or is too large.
    """

    def value() -> bytes:
        return msgspec.json.encode(resolved_value(asked, results.read, _no_secret, results.what))

    try:
        return value()
    except _NotFetchedError as needed:
        task = needed.task
    async with turns:
        while True:
            await results.fetch(task, fetch)
            try:
                return await asyncio.to_thread(value)
            except _NotFetchedError as needed:
                task = needed.task


class _NotFetchedError(Exception):
    """The result of this task lies in a blob."""

    def __init__(self, task: TaskView) -> None:
        self.task = task
        super().__init__(task.task_exec_seq)


class _Results:
    """The results of a flow's tasks, by name or by taskSeq as text."""

    def __init__(self, flow: FlowView, what: str) -> None:
        self.what = what
        self._fetched: dict[int, Any] = {}
        self._bytes = 0
        self._tasks = flow.referred_to()

    def read(self, name: str) -> Any:
        task = self._tasks.get(name)
        if task is None or not _has_value(task):
            raise NoValueError(name)
        if task.blob is None:
            return msgspec.json.decode(task.result)
        if task.task_exec_seq not in self._fetched:
            raise _NotFetchedError(task)
        return self._fetched[task.task_exec_seq]

    def blob_of(self, asked: Any) -> BlobRef | None:
        """The blob that is all that is asked for."""
        form = form_of(cast("dict[str, Any]", asked)) if isinstance(asked, dict) else None
        if not isinstance(form, From) or form.path:
            return None
        task = self._tasks.get(form.name)
        return None if task is None or not _has_value(task) else task.blob

    async def fetch(self, task: TaskView, fetch: Fetch) -> None:
        """Reads the result of a task that lies in a blob.

        Raises:
            ParameterError: it cannot be had.
        """
        blob = task.blob
        assert blob is not None
        what = f"{self.what} needs the result of task {task.task_name or task.task_seq}"
        what += f" ({blob.bytes} bytes, blob {blob.sha256})"
        self._bytes += blob.bytes
        if self._bytes > _MOST_BYTES:
            raise ParameterError(
                f"{what}; of blobs no more than {_MOST_BYTES} bytes are read to show a flow: let a task"
                " of its own make what is returned"
            )
        try:
            content = await fetch(blob)
        except (MissingBlobError, BlobStoreError, SettingsError) as error:
            raise ParameterError(f"{what}, which cannot be read: {error}") from error
        self._fetched[task.task_exec_seq] = await asyncio.to_thread(msgspec.json.decode, content)


def _has_value(task: TaskView) -> bool:
    """One that was passed over has a value only if somebody gave it one."""
    if task.exec_status == Status.IGNORE:
        return task.has_stand_in
    return task.exec_status == Status.FINISH


def _no_secret(name: str) -> str:
    raise ParameterError(f"it asks for the secret {name}")  # no definition may say so
