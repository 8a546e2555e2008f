"""The fields of a flow's hash that say who reads what, and the results that it keeps.

``lua/lib/kept_results.lua`` is where they are read. A flow in which no task reads another has none of them.
"""

from collections.abc import Collection, Mapping, Sequence

import msgspec

from flower_engine.model.definition import PlannedTask
from flower_engine.model.kept_results import readers_of, reads_of, reads_text
from flower_engine.transitions.loader import Arg


class DataFields(msgspec.Struct, frozen=True):
    """Names and values, flat; ``flag`` goes behind the counters ("": the flow has no data)."""

    fields: tuple[Arg, ...] = ()
    flag: str = ""


def data_fields(
    tasks: Sequence[PlannedTask], final: Collection[int], payloads: Mapping[int, bytes]
) -> DataFields:
    """Those of a flow of these tasks of which some are ``final``; ``payloads``: their results, by task."""
    if not any(task.reads for task in tasks):
        return DataFields()
    fields: list[Arg] = []
    for task in tasks:
        reads = reads_text(reads_of(task))
        if reads:
            fields += (f"i{task.seq}", reads)
    kept = 0
    for seq, count in readers_of(tasks, final).items():
        payload = payloads.get(seq) if seq in final else None
        if payload is None:
            fields += (f"u{seq}", count)
        else:
            fields += (f"u{seq}", f"{count} {len(payload)}", f"r{seq}", payload)
            kept += len(payload)
    return DataFields(tuple(fields), f"d{kept}")
