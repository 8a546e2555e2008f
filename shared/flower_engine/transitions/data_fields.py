"""The fields of a flow's hash that say who reads what, and the results that it keeps.

``lua/lib/kept_results.lua`` is where they are read. A flow in which no task reads another has none of them.
"""

from collections.abc import Collection, Mapping, Sequence

import msgspec

from flower_engine.model.definitions.definition import PlannedTask
from flower_engine.model.folding.kept_results import have_data, readers_of, reads_of, reads_of_plan
from flower_engine.transitions.loader import Arg

_MANY_READS = 16  # a message that names no more of them is short


class DataFields(msgspec.Struct, frozen=True):
    """Names and values, flat; ``flag`` goes behind the counters ("": the flow has no data), ``links`` of a
    task behind its dependents."""

    fields: tuple[Arg, ...] = ()
    flag: str = ""
    links: Mapping[int, str] = {}


def data_fields(
    tasks: Sequence[PlannedTask], final: Collection[int], payloads: Mapping[int, bytes]
) -> DataFields:
    """Those of a flow of these tasks of which some are ``final``; ``payloads``: their results, by task."""
    if not have_data(tasks):
        return DataFields()
    fields: list[Arg] = []
    kept = 0
    for seq, count in readers_of(tasks, final).items():
        payload = payloads.get(seq) if seq in final else None
        if payload is None:
            fields += (f"u{seq}", count)
        else:
            fields += (f"u{seq}", f"{count} {len(payload)}", f"r{seq}", payload)
            kept += len(payload)
    return DataFields(tuple(fields), f"d{kept}", _links(tasks))


def _links(tasks: Sequence[PlannedTask]) -> dict[int, str]:
    """What stands behind the dependents of each task: what it reads itself, and whether the messages of those
    are long because they name very many tasks."""
    links: dict[int, str] = {}
    before_long: set[int] = set()
    for task in tasks:
        reads = reads_of(task)
        if reads:
            links[task.seq] = f"<{reads_of_plan(task)}"
        if (
            len(reads) > _MANY_READS or task.items is not None
        ):  # whoever claims a map's item needs no message of it
            before_long.update(task.depends_on)
    return links | {seq: f"{links.get(seq, '<')}!" for seq in before_long}
