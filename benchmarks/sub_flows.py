"""What sub-flows cost: ``python -m benchmarks.sub_flows [--children 10000] [--rounds 3] [--limit 500]``.

So many flows of three tasks, run as children of tasks of other flows, and registered over HTTP and run
directly, in turns: Redis' CPU a task and that of all processes, and the longest calls of Redis by their
scripts. With ``--limit`` they are the children of one map, of which so many go on at once. The result goes to
``benchmarks/results/``.
"""

import argparse
import asyncio
import datetime
import statistics
from collections import defaultdict
from importlib.resources import files
from pathlib import Path
from typing import Any

import uvloop
from rich.console import Console

from benchmarks.flow_control import register
from flower_bench.cpu import REDIS, read_cpu
from flower_bench.environment import describe_environment
from flower_bench.projection_watch import until_ended, until_projected
from flower_cli.local.throwaway_deployment import OwnDeployment
from flower_engine.log.client import send
from flower_engine.transitions.loader import Script

_RESULTS = Path(__file__).with_name("results")
_A_PARENT = 100
_TASKS = 3
_out = Console()


def child() -> list[dict[str, Any]]:
    """Three tasks in a row that do nothing."""
    sleepless = {"program": "EchoParamTimeSleep", "parameters": {"SLEEP_TIME_SECOND": "0"}}
    return [{"taskSeq": seq, **sleepless} for seq in range(1, _TASKS + 1)]


def parent(workflow: str, children: int) -> list[dict[str, Any]]:
    """So many tasks at once that flows of this workflow do."""
    given: dict[str, Any] = {"program": "@flow", "parameters": {"workflow": workflow}, "dependsOn": []}
    return [{"taskSeq": seq, **given} for seq in range(1, children + 1)]


def windowed(workflow: str, children: int, limit: int) -> list[dict[str, Any]]:
    """A map of so many flows of this workflow, each of which is given a number."""
    given: dict[str, Any] = {"over": list(range(children)), "workflow": workflow, "as": "n", "limit": limit}
    return [{"taskSeq": 1, "program": "@map", "parameters": given, "dependsOn": []}]


async def spent(engine: OwnDeployment, workflow: str, flows: int, ended: tuple[str, int]) -> dict[str, float]:
    """Microseconds of CPU by role for so many flows of a workflow, until the flows that count have ended."""
    before = await read_cpu(engine)
    await register(engine, workflow, flows)
    await until_ended(engine, *ended)
    await until_projected(engine)
    after = await read_cpu(engine)
    return {role: (after[role] - before[role]) * 1e6 for role in after if role in before}


async def slow_calls_of(engine: OwnDeployment) -> dict[str, list[float]]:
    """How long calls of each script took that took half a millisecond, ms."""
    found_files = (files("flower_engine.transitions") / "lua").iterdir()
    folders = [one for one in found_files if one.is_dir() and one.name != "lib"]
    scripts = [f"{folder.name}/{file.name[:-4]}" for folder in folders for file in folder.iterdir()]
    names = {Script(name).sha: name for name in scripts}
    found: dict[str, list[float]] = defaultdict(list)
    entries: list[Any] = await send(engine.redis, "SLOWLOG GET", "-1")
    for entry in entries:
        for sha, name in names.items():
            if sha.encode() in entry["command"]:
                found[name].append(int(entry["duration"]) / 1e3)
    return found


async def measure(children: int, rounds: int, limit: int | None) -> list[str]:
    """The lines of the result."""
    costs: dict[str, list[dict[str, float]]] = {"direct": [], "children": []}
    calls: dict[str, dict[str, list[float]]] = {"direct": defaultdict(list), "children": defaultdict(list)}
    async with OwnDeployment.started() as engine:
        await engine.serve()
        small, large = engine.name("small"), engine.name("large")
        takes = {"type": "object", "properties": {"n": {"type": "integer"}}}
        body = {"tasks": child()} | ({} if limit is None else {"parametersSchema": takes})
        (await engine.api.put(f"/workflows/{small}", json=body)).raise_for_status()
        whole = parent(small, _A_PARENT) if limit is None else windowed(small, children, limit)
        await engine.define(large, whole)
        await send(engine.redis, "CONFIG SET", "slowlog-log-slower-than", "500")
        await send(engine.redis, "CONFIG SET", "slowlog-max-len", "100000")
        done, trunks = 0, children // _A_PARENT if limit is None else 1
        for number in range(1, rounds + 2):  # the first warms up
            order = ("direct", "children") if number % 2 else ("children", "direct")
            for how in order:
                done += children
                await send(engine.redis, "SLOWLOG RESET")
                workflow, flows = (small, children) if how == "direct" else (large, trunks)
                found = await spent(engine, workflow, flows, (small, done))
                for script, times in (await slow_calls_of(engine)).items():
                    calls[how][script] += times
                if number > 1:
                    costs[how].append(found)
                    _out.print(how, {role: round(us / children / _TASKS, 1) for role, us in found.items()})
    tasks = children * _TASKS
    lines = ["| us of CPU a task of the small flows | direct | as children | ratio |", "|---|---|---|---|"]
    roles = [REDIS, *sorted({role for one in costs["direct"] for role in one} - {REDIS})]
    for role in (*roles, "all"):
        of = {
            how: [sum(one.values()) if role == "all" else one.get(role, 0.0) for one in ones]
            for how, ones in costs.items()
        }
        direct, own = (statistics.median(of[how]) / tasks for how in ("direct", "children"))
        ratios = [b / a for a, b in zip(of["direct"], of["children"], strict=True) if a]
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})" if ratios else ""
        lines.append(f"| {role} | {direct:.1f} | {own:.1f} | {spread} |")
    lines += ["", "Calls of 0.5 ms and more, by Redis' wall clock (with what others took of its core):", ""]
    lines += ["| script | how | calls | median, ms | 99 % | longest |", "|---|---|---|---|---|---|"]
    for how, found in calls.items():
        for script, times in sorted(found.items(), key=lambda one: -max(one[1])):
            times.sort()
            late = times[min(len(times) - 1, int(len(times) * 0.99))]
            lines.append(
                f"| {script} | {how} | {len(times)} | {statistics.median(times):.1f} | {late:.1f}"
                f" | {times[-1]:.1f} |"
            )
    return lines


def main() -> None:
    """Measures, prints and writes the result."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--children", type=int, default=10_000)
    asked.add_argument("--rounds", type=int, default=3)
    asked.add_argument("--limit", type=int)
    given = asked.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        rows = runner.run(measure(given.children, given.rounds, given.limit))
    now = datetime.datetime.now(tz=datetime.UTC)
    trees = f"{_A_PARENT} children a parent" if given.limit is None else f"{given.limit} at once, of one map"
    what = f"{given.children:,} flows of {_TASKS} tasks, {trees}, {given.rounds} rounds"
    lines = ["# Sub-flows", "", f"- date: {now.isoformat(timespec='seconds')}", f"- what: {what}, in turns"]
    lines += [f"- {name}: {text}" for name, text in describe_environment().items()]
    name = now.strftime("%Y-%m-%d-%H%M%S-sub-flows.md")
    (_RESULTS / name).write_text("\n".join([*lines, "", *rows]) + "\n")
    _out.print("\n".join(rows), markup=False, highlight=False)
    _out.print(f"written to benchmarks/results/{name}", highlight=False)


if __name__ == "__main__":
    main()
