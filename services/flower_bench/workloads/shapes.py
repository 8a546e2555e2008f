"""DAGs of real workflows, read from files: how near the engine comes to the time that they must take."""

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from flower_bench.projection_watch import until_ended, until_projected
from flower_bench.run import Run
from flower_engine.errors import SettingsError

_CRITICAL_SECONDS = 1.0
_MAKESPANS = """
SELECT (extract(epoch FROM finished_ts - started_ts) * 1000)::float8 FROM kr_flow_stat WHERE task_id = %s
"""


class Node(msgspec.Struct, frozen=True):
    """A task of a shape: its number from 1, what it waits for, and how long it ran in seconds."""

    seq: int
    parents: tuple[int, ...]
    runtime_s: float


class _Named(msgspec.Struct):
    id: str | int
    runtime_s: float
    parents: list[str | int] = []


class _Numbered(msgspec.Struct):
    seq: int
    runtime_ms: float
    after: list[int] = []


class _NamedShape(msgspec.Struct):
    tasks: list[_Named]


class _NumberedShape(msgspec.Struct):
    tasks: list[_Numbered]


def read_shape(file: Path) -> tuple[Node, ...]:
    """The tasks of a file, parents before children.

    A file holds ``{"tasks": [{"id", "parents", "runtime_s"}, ...]}``, or as the project's own do ``seq``,
    ``after`` and ``runtime_ms`` instead.

    Raises:
        SettingsError: it cannot be read, names a parent that is not there, or has a cycle.
    """
    try:
        raw = file.read_bytes()
        try:
            named = msgspec.json.decode(raw, type=_NamedShape).tasks
        except msgspec.ValidationError:
            numbered = msgspec.json.decode(raw, type=_NumberedShape).tasks
            named = [_Named(one.seq, one.runtime_ms / 1_000, [*one.after]) for one in numbered]
    except (OSError, msgspec.DecodeError) as error:
        raise SettingsError(
            f"--shapes: {file} is no shape ({error}): it should hold"
            ' {"tasks": [{"id": ..., "parents": [...], "runtime_s": ...}, ...]}'
        ) from error
    return _in_order(file, named)


def critical_path(nodes: Sequence[Node]) -> tuple[float, int]:
    """The longest way through, by run time: its seconds, and how many tasks lie on it."""
    longest: dict[int, tuple[float, int]] = {}
    for node in nodes:
        seconds, tasks = max((longest[parent] for parent in node.parents), default=(0.0, 0))
        longest[node.seq] = seconds + node.runtime_s, tasks + 1
    return max(longest.values())


class Shapes(msgspec.Struct, frozen=True, kw_only=True):
    """Each shape with its run times scaled so that the critical path takes a second, and once with none."""

    name: str = "shapes"
    about: str = "DAGs of real workflows from files (--shapes), with run times scaled and with none"
    needs: tuple[str, ...] = ()
    is_slow: bool = False

    async def run(self, run: Run) -> None:
        if not run.plan.shapes:
            run.note(f"{self.name}: no files were named with --shapes")
            return
        await run.deployment.serve()
        slots = await run.deployment.slots()
        for file in dict.fromkeys(file.resolve() for file in run.plan.shapes):
            await self._measure(run, file, slots)

    async def _measure(self, run: Run, file: Path, slots: int) -> None:
        nodes = read_shape(file)
        tasks, (critical_s, on_it) = len(nodes), critical_path(nodes)
        scale = _CRITICAL_SECONDS / critical_s if critical_s else 0.0
        total_s = sum(node.runtime_s for node in nodes) * scale
        ideal_ms = max(critical_s * scale, total_s / slots) * 1_000
        what = f"{file.stem} ({tasks} tasks)"
        made_ms = await self._makespan_ms(run, f"{file.stem}-sleep", [_sleep(one, scale) for one in nodes])
        run.add(f"{what}: makespan", made_ms, "ms", higher_is_better=False)
        run.add(f"{what}: ideal with {slots} slots", ideal_ms, "ms")
        run.add(f"{what}: over the ideal, per task", (made_ms - ideal_ms) / tasks, "ms")
        run.add(
            f"{what}: over the ideal, per task on the critical path ({on_it})",
            (made_ms - ideal_ms) / on_it, "ms", higher_is_better=False,
        )  # fmt: skip
        none_ms = await self._makespan_ms(run, f"{file.stem}-noop", [_noop(one) for one in nodes])
        run.add(f"{what}: makespan with Noop", none_ms, "ms", higher_is_better=False)
        run.add(f"{what}: with Noop", tasks / none_ms * 1_000, "tasks/s")

    async def _makespan_ms(self, run: Run, name: str, tasks: list[dict[str, Any]]) -> float:
        """The median of some flows, one after the other; the first start to the last finish event."""
        workflow = run.deployment.name(f"{self.name}-{name}")
        await run.deployment.define(workflow, tasks)
        repeats = run.plan.size(5, 1)
        for number in range(repeats):
            run.say(f"{name}, {number + 1} of {repeats}")
            await run.deployment.register(workflow)
            await until_ended(run.deployment, workflow, number + 1)
        await until_projected(run.deployment)
        async with await run.deployment.connect_postgres() as connection:
            rows = await connection.execute(_MAKESPANS, [workflow])
            return statistics.median([float(row[0]) async for row in rows])


def _sleep(node: Node, scale: float) -> dict[str, Any]:
    parameters = {"SLEEP_TIME_SECOND": f"{node.runtime_s * scale:.6f}"}
    return {**_noop(node), "program": "EchoParamTimeSleep", "parameters": parameters}


def _noop(node: Node) -> dict[str, Any]:
    return {"taskSeq": node.seq, "program": "Noop", "dependsOn": list(node.parents)}


def _in_order(file: Path, named: Sequence[_Named]) -> tuple[Node, ...]:
    """Numbered so that parents come first."""
    known = {one.id for one in named}
    for one in named:
        if missing := [parent for parent in one.parents if parent not in known]:
            raise SettingsError(f"--shapes: {file}: task {one.id} has parents that are not there: {missing}")
    seqs: dict[str | int, int] = {}
    nodes: list[Node] = []
    left = list(named)
    while left:
        ready = [one for one in left if all(parent in seqs for parent in one.parents)]
        if not ready:
            raise SettingsError(
                f"--shapes: {file}: tasks wait for one another in a circle: {left[0].id}, ..."
            )
        for one in ready:
            seqs[one.id] = len(seqs) + 1
            nodes.append(Node(seqs[one.id], tuple(seqs[parent] for parent in one.parents), one.runtime_s))
        left = [one for one in left if one.id not in seqs]
    return tuple(nodes)
