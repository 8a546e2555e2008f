"""What a flow looks like when it is drawn: its graph laid out, and when each task stood where."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence

import msgspec

from flower_engine.errors import HistoryDamagedError
from flower_engine.flows.history import find_entries, find_flow
from flower_engine.flows.stores import Stores
from flower_engine.model.definitions.dag_layout import DagLayout, lay_out
from flower_engine.model.folding.flow_timeline import FlowTimeline, TimelineMaker
from flower_engine.projection.archive.histories import FAULTS, read_event, told

_KEPT_TASKS = 100_000  # in layouts that are kept
_BREATH_EVENTS = 200  # between these, others have a turn

Edges = tuple[tuple[int, ...], ...]


class Layouts:
    """Layouts of graphs, each made once: flows of one version have the same."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Edges, DagLayout] = OrderedDict()
        self._tasks = 0

    async def find(self, stores: Stores, flow_id: str) -> DagLayout:
        """That of a flow; items of maps are not drawn, their map says how they stand.

        Raises:
            UnknownFlowError: there is no such flow.
        """
        tasks = (await find_flow(stores, flow_id)).tasks
        drawn = [task.task_exec_seq for task in tasks if task.item_of is None]
        numbers = {seq: number for number, seq in enumerate(drawn, start=1)}
        found = await self.of(
            [[numbers[on] for on in tasks[seq - 1].depends_on if on in numbers] for seq in drawn]
        )
        return found if len(drawn) == len(tasks) else _among(found, drawn, len(tasks))

    async def of(self, depends_on: Sequence[Sequence[int]]) -> DagLayout:
        """That of tasks which depend on these."""
        edges = tuple(map(tuple, depends_on))
        found = self._kept.get(edges)
        if found is None:
            found = await asyncio.to_thread(lay_out, edges)
            if edges not in self._kept:
                self._kept[edges] = found
                self._tasks += len(edges)
        self._kept.move_to_end(edges)
        while self._tasks > _KEPT_TASKS and len(self._kept) > 1:
            self._tasks -= len(self._kept.popitem(last=False)[0])
        return found


def _among(found: DagLayout, drawn: Sequence[int], count: int) -> DagLayout:
    """The layout with the numbers that the tasks have among ``count`` of them."""
    layer, row = [-1] * count, [0.0] * count
    for number, seq in enumerate(drawn):
        layer[seq - 1], row[seq - 1] = found.layer[number], found.row[number]
    return msgspec.structs.replace(
        found,
        layer=layer,
        row=row,
        edges=[drawn[number - 1] for number in found.edges],
        lane_task=[drawn[number - 1] for number in found.lane_task],
    )


async def find_timeline(stores: Stores, flow_id: str) -> FlowTimeline:
    """When each task of the flow stood where.

    Raises:
        UnknownFlowError: there is no such flow.
        HistoryDamagedError: its history makes no sense.
    """
    maker = TimelineMaker()
    entries = await find_entries(stores, stores.partition_of(flow_id), flow_id)
    for index, entry in enumerate(entries):
        event = read_event(flow_id, entry)
        try:
            maker.add(entry.position, event)
        except FAULTS as error:
            raise HistoryDamagedError(flow_id, told(error), entry.position) from error
        if index % _BREATH_EVENTS == _BREATH_EVENTS - 1:
            await asyncio.sleep(0)
    return maker.made()
