"""The loop that brings what people set in ``ms_schedule`` to the partitions of the schedules."""

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import Sequence

import msgspec
from redis.exceptions import RedisError

from flower_engine.crash_points import crash_point
from flower_engine.errors import DefinitionError
from flower_engine.flows.scheduled_plans import faults_of_flows, plan_of
from flower_engine.log.client import AsyncRedis, one_server, send
from flower_engine.log.each_partition import StandsStillError, from_each
from flower_engine.log.partition import Partition, routed_over
from flower_engine.projection.database import Connection, connect
from flower_engine.projection.definitions.acting import act_as
from flower_engine.projection.definitions.schedule_rows import (
    ScheduleChanges,
    ScheduledWorkflow,
    ScheduleRow,
    keep_versions,
    pause_schedule,
    read_newest_version,
    read_schedule_changes,
    renew_schedules_of,
    renew_versions,
)
from flower_engine.runtime.backoff import StoreBackoff
from flower_engine.runtime.clock import SYSTEM_CLOCK, Clock
from flower_engine.runtime.loop import Loop
from flower_engine.schedules.slot_ids import partition_of_schedule
from flower_engine.store_faults import STORE_ERRORS
from flower_engine.transitions.register_transition import FlowPlan
from flower_engine.transitions.schedule_transitions import (
    MOST_PLAN_BYTES,
    Definition,
    define_schedules,
    read_schedules,
)
from flower_watcher.released_flows import release_unknown
from flower_watcher.scheduled_trees import TreesOfSchedules
from flower_watcher.scheduled_workflows import Shared

_log = logging.getLogger(__name__)

_INTERVAL_SECONDS = 0.4  # a change acts within a second, whoever made it
_TIMEOUT_SECONDS = 60.0
_CLOCKS_APART_MS = 30_000
_LOOK_SECONDS = 60.0  # at what changes without a change of any schedule
_BREATH_ROWS = 20
_BY = "watcher"
_TREE = b'"tree":{"'
_encode = msgspec.json.Encoder().encode
_workflow = msgspec.json.Decoder(ScheduledWorkflow).decode


class ScheduleSyncLoop:
    """Looks whether schedules were changed; any number of watchers may, as an older definition never replaces
    a newer one."""

    def __init__(
        self,
        client: AsyncRedis,
        partitions: Sequence[Partition],
        database_url: str,
        shared: Shared,
        *,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """``partitions``: those that are there; they may come and go."""
        self._client = client
        self._partitions = partitions
        self._url = database_url
        self._shared = shared
        self._trees = TreesOfSchedules()
        self._seen = 0  # the version up to which Redis has what the table says
        self._said: dict[str, str] = {}
        self._clocks_said = False
        self._clock = clock
        self._looked_at = float("-inf")
        self._connection: Connection | None = None

    async def run(self) -> None:
        """Looks until cancelled.

        Raises:
            LostError: Redis lost its state.
        """
        try:
            await Loop("schedules", self._look, _INTERVAL_SECONDS, StoreBackoff(_log, "schedules")).run()
        finally:
            await self._disconnect()

    async def _look(self) -> int:
        """``run_once``, on a connection that is kept until something fails."""
        try:
            if self._connection is None:
                self._connection = await connect(self._url, "watcher schedules")
            return await self.run_once(self._connection)
        except STORE_ERRORS:
            await self._disconnect()
            raise

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def run_once(self, connection: Connection) -> int:
        """Brings what has changed to Redis, and pauses what failed too often; how many schedules changed."""
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            await self._pause(connection)
            if self._clock.monotonic() - self._looked_at >= _LOOK_SECONDS:
                self._looked_at = self._clock.monotonic()
                with contextlib.suppress(RedisError):  # who is away is said elsewhere
                    await self._compare_clocks(connection)
                await release_unknown(self._client, self._partitions, connection, self._shared)
            newest = await read_newest_version(connection)
            if newest == self._seen:
                await self._trees.renew_above(connection)
                return 0
            # A Postgres that went back in time has versions again that meant something else.
            changes = await read_schedule_changes(connection, self._seen if newest > self._seen else 0)
            workflows = await self._trees.learn(connection, changes.workflows)
            await keep_versions(connection, workflows.values())
            await self._bring(connection, msgspec.structs.replace(changes, workflows=workflows))
        self._seen = changes.version
        return len(changes.rows) + len(changes.deleted)

    async def _bring(self, connection: Connection, changes: ScheduleChanges) -> None:
        known = _Workflows(changes.workflows)
        by_partition: dict[int, list[Definition]] = defaultdict(list)
        count = routed_over(self._partitions)
        for number, row in enumerate(changes.rows):
            if number % _BREATH_ROWS == 0:
                await asyncio.sleep(0)  # the other loops of this watcher go on
            definition = self._definition_of(row, known)
            by_partition[partition_of_schedule(row.uid, count)].append(definition)
        for gone in changes.deleted:
            self._shared.workflows.pop(gone.uid, None)
            definition = Definition(uid=gone.uid, version=gone.version, name=gone.name, state="deleted")
            by_partition[partition_of_schedule(gone.uid, count)].append(definition)
        there = {one.number: one for one in self._partitions}
        to_define = [there[number] for number in by_partition if number in there]

        async def define(partition: Partition) -> None:
            definitions = by_partition[partition.number]
            words = await define_schedules(self._client, partition, definitions)
            crash_point("schedules.defined")
            old = [one.uid for one, word in zip(definitions, words, strict=True) if word == "old"]
            if self._seen == 0:  # what is below a workflow may have changed while no watcher looked
                others.update(await self._with_other_trees(partition, definitions, words))
            if old:
                olds[partition.number] = old

        olds: dict[int, list[str]] = {}
        others: set[str] = set()
        defined = await from_each(self._client, to_define, define)
        for number, old in olds.items():
            await self._renew(connection, there[number], old)
        if others:
            await renew_schedules_of(connection, sorted(others))
        # Where some is missing all of it is brought again: who has it takes none of it twice.
        defined.raise_away()
        if missing := sorted(by_partition.keys() - there.keys()):
            raise StandsStillError(f"schedules of partition {', '.join(map(str, missing))} wait for it")
        if changes.rows or changes.deleted:
            _log.info("%d schedules set, %d deleted", len(changes.rows), len(changes.deleted))

    async def _with_other_trees(
        self, partition: Partition, definitions: Sequence[Definition], words: Sequence[str]
    ) -> set[str]:
        """Workflows of schedules that Redis has as the table says, but with another tree below."""
        wanted = {
            one.uid: _workflow(one.plan)
            for one, word in zip(definitions, words, strict=True)
            if word == "same" and _TREE in one.plan and len(one.plan) <= MOST_PLAN_BYTES
        }
        known = await read_schedules(self._client, partition, list(wanted)) if wanted else []
        return {
            wanted[one.uid].name
            for one in known
            if one is not None and one.plan and _workflow(one.plan).tree != wanted[one.uid].tree
        }

    async def _renew(self, connection: Connection, partition: Partition, uids: list[str]) -> None:
        """What Redis has newer definitions of was changed by now, or Postgres went back in time: then its
        rows, which people edit, count again."""
        known = await read_schedules(self._client, partition, uids, with_spec=False)
        newest = max((one.version for one in known if one is not None), default=0)
        if await renew_versions(connection, uids, newest):
            _log.warning("Postgres went back in time: %d schedules have newer versions again", len(uids))

    def _definition_of(self, row: ScheduleRow, known: "_Workflows") -> Definition:
        workflow = known.by_name[row.workflow]
        problem = "; ".join(each.sentence for each in row.problems) or known.problem_of(row)
        self._say(row, problem)
        plan = b"" if workflow.problem else _encode(workflow)
        if len(plan) > MOST_PLAN_BYTES:
            self._shared.workflows[row.uid] = workflow
        else:
            self._shared.workflows.pop(row.uid, None)
        return Definition(
            uid=row.uid,
            version=row.version,
            name=row.name,
            state="problem" if problem else "paused" if row.schedule.is_paused else "active",
            problem=problem,
            spec=_encode(row.schedule),
            plan=plan,
            least_cursor_ms=row.changed_ms,
        )

    def _say(self, row: ScheduleRow, problem: str) -> None:
        if problem and self._said.get(row.uid) != problem:
            _log.error("schedule %s does not fire: %s", row.name, problem)
        self._said[row.uid] = problem

    async def _pause(self, connection: Connection) -> None:
        """Writes down which schedules are paused for their failures."""
        for uid, failed in list(self._shared.failed.items()):
            async with connection.transaction():
                await act_as(connection, _BY)
                is_paused = await pause_schedule(connection, uid, failed.version, failed.reason, _BY)
            if is_paused:
                _log.warning("schedule %s is paused: %s", uid, failed.reason)
            if self._shared.failed.get(uid) == failed:
                del self._shared.failed[uid]

    async def _compare_clocks(self, connection: Connection) -> None:
        """Says once that slots come by another clock than that of the table's times."""
        row = await (
            await connection.execute("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint")
        ).fetchone()
        if not self._partitions:
            return
        seconds, micros = await send(one_server(self._client, self._partitions[0].number), "TIME")
        apart = int(seconds) * 1000 + int(micros) // 1000 - int(row[0] if row else 0)
        if abs(apart) > _CLOCKS_APART_MS and not self._clocks_said:
            _log.warning("the clock of Redis, by which slots come, is %+.1f s from Postgres'", apart / 1000)
        self._clocks_said = abs(apart) > _CLOCKS_APART_MS


class _Workflows:
    """Workflows of schedules that changed, with their plans, each made once."""

    def __init__(self, by_name: dict[str, ScheduledWorkflow]) -> None:
        self.by_name = by_name
        self._plans: dict[str, FlowPlan | str] = {}

    def problem_of(self, row: ScheduleRow) -> str:
        """Why flows of the schedule cannot be made; "": they can."""
        workflow = self.by_name[row.workflow]
        if workflow.problem:
            return workflow.problem
        plan = self._plans.get(workflow.name)
        if plan is None:
            try:
                plan = plan_of(workflow)
            except DefinitionError as error:
                plan = str(error)
            self._plans[workflow.name] = plan
        if isinstance(plan, str):
            return plan
        return "; ".join(fault.detail for fault in faults_of_flows(plan, row.schedule))
