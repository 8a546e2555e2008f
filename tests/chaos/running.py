"""A whole chaos run: engine, people, storm, and the judgement when all has ended."""

import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec
import psycopg

from acceptance.running import RunningEngine
from chaos.chains_verdict import judge_chains
from chaos.ending_flows import KEYS, MAIL, define_ending, judge_ending
from chaos.loops_verdict import judge_loops
from chaos.nodes import Deployment, started
from chaos.people import DECIDING, ENDING, WORKFLOWS, People
from chaos.programs import TABLE
from chaos.proxy import Proxy
from chaos.storm import Storm
from chaos.trees_verdict import judge_kept, judge_trees, judge_world
from chaos.verdict import judge
from chaos.world import ASKING, SIGNALLED, World, answer_all, send, vote_all
from flower_engine.embedded.embedded_stores import Addresses

SERVICES = ("api", "projector", "projector-2", "watcher", "watcher-2", "worker", "worker-2")
PROGRAMS = "chaos.programs,chaos.forks"  # versions before have all that they need, too
LIMIT = 3
SCHEDULES = 50  # of one second each


class Outcome(msgspec.Struct, frozen=True):
    """What a run came to; it went well where there are no problems. ``replicated``: flows of which a replica
    was said to know; ``lost``: that were acknowledged otherwise, and are gone; ``ready_seconds``: from each
    harm to a server of Redis until the API was ready again."""

    flows: int
    operations: int
    harms: Counter[str]
    problems: list[str]
    ended_seconds: float
    replicated: int = 0
    lost: int = 0
    ready_seconds: list[float] = []


def run(
    folder: Path,
    seconds: float,
    seed: int,
    say: Callable[[str], None],
    *,
    anew: bool = True,
    deployment: Deployment = "single",
    flows_at_least: int = 0,
    harms_at_least: int = 0,
) -> Outcome:
    """A storm of so long, and of so much, over a fresh engine; then all flows must end, and everything be
    right. Services start ``anew``, or as copies of a process that has imported everything."""
    with ExitStack() as stack:
        proxies: list[Proxy] = []
        nodes = None if deployment == "single" else stack.enter_context(started(deployment, folder))

        def through(addresses: Addresses) -> Addresses:
            redis, postgres = urlsplit(addresses.redis_url), urlsplit(addresses.database_url)
            socket = Path(parse_qs(postgres.query)["host"][0]) / ".s.PGSQL.5432"
            if nodes is not None:
                proxies.append(stack.enter_context(Proxy(str(socket))))
                database = f"postgresql://{postgres.username}@127.0.0.1:{proxies[0].port}{postgres.path}"
                return Addresses(nodes.url, database)
            proxies.extend(stack.enter_context(Proxy(path)) for path in (unquote(redis.path), str(socket)))
            return Addresses(
                f"redis://127.0.0.1:{proxies[0].port}/0",
                f"postgresql://{postgres.username}@127.0.0.1:{proxies[1].port}{postgres.path}",
            )

        settings = {
            "FLOWER_PROGRAMS": f"{PROGRAMS},chaos.loops",
            "FLOWER_CONCURRENCY": "8",
            "FLOWER_MAX_LOST": "1000",
            "FLOWER_LINK_SECRET": "a-secret-of-the-storm",
            "PYTHONPATH": str(Path(__file__).parent.parent),
        }
        if nodes is not None:
            settings |= {
                "FLOWER_REDIS_URL": nodes.url,
                "FLOWER_PARTITIONS": str(nodes.partitions),
                "FLOWER_DURABILITY": "replicated",
                "FLOWER_AUTO_RECOVER": "1",
            }
        with RunningEngine.started_through(
            through, folder, anew=anew, with_tables=False, **settings
        ) as engine:
            engine.set_environment(CHAOS_DATABASE_URL=engine.addresses.database_url)
            for name in SERVICES:
                engine.start(name)
            engine.wait_until_ready()
            limit = LIMIT if nodes is None else LIMIT * nodes.partitions
            define(engine, limit)
            define_deciding(engine)
            people = People(engine.url, seed, workflows=(*WORKFLOWS, *DECIDING, *ENDING))
            storm = Storm(engine, proxies, SERVICES, seed, say, nodes=nodes)
            world = World(engine.url, seed, lambda: people.signalled)
            people.start()
            world.start()
            try:
                storm.rage(
                    seconds,
                    lambda: len(people.flows) >= flows_at_least and storm.harms.total() >= harms_at_least,
                )
            finally:
                people.stop()
                world.stop()
            say(f"the storm is over; {len(people.flows)} flows were registered")
            began = time.monotonic()
            pause_schedules(engine)
            engine.wait_for("all schedules to rest", lambda: have_paused(engine))
            kept = people.flows
            if nodes is not None:  # the others may be lost, and are counted
                kept = {key: flow for key, flow in people.flows.items() if key in people.replicated}
            engine.wait_for("all flows to end", lambda: has_ended(engine, list(kept.values())))
            ended_seconds = time.monotonic() - began
            known = set(projected(engine, list(people.flows.values())))
            verdict = engine.verify()
            problems = (
                people.problems
                + world.problems
                + told_to_stop(folder)
                + judge(engine, verdict, kept, limit, SCHEDULES, fails_over=nodes is not None)
                + engine.tracebacks()
            )
            problems += [*judge_trees(verdict.flows), *judge_chains(verdict.flows)]
            problems += judge_loops(verdict.flows, verdict.events)
            heard = (world.signals, world.answers) if nodes is None else ((), ())  # else some may be lost
            problems += [*judge_world(verdict.events, *heard), *judge_kept(verdict.events)]
            problems += judge_ending(verdict.events, world.mail)
            say(f"{len(world.signals)} signals were heard, {len(world.answers)} answers counted")
        return Outcome(
            *(len(people.flows), people.operations, storm.harms, problems, ended_seconds),
            replicated=len(people.replicated),
            lost=len(set(people.flows.values()) - known),
            ready_seconds=storm.ready_seconds,
        )


def told_to_stop(folder: Path) -> list[str]:
    """Workers that took a signal to what a program forked off for one to themselves: nobody sent them any."""
    logs = {log.name: log.read_text(errors="replace") for log in folder.glob("worker*.log")}
    return [f"{name} was told to stop" for name, text in logs.items() if "stopping (SIG" in text]


def _task(seq: int, *depends_on: int, program: str = "trace", **parameters: Any) -> dict[str, Any]:
    return {"taskSeq": seq, "program": program, "dependsOn": list(depends_on), "parameters": parameters}


def define(engine: RunningEngine, limit: int, schedules: int = SCHEDULES) -> None:
    """Workflows of several shapes, one that fails now and then, one under a limit; and the runs' table."""
    with psycopg.connect(engine.addresses.database_url, autocommit=True) as connection:
        connection.execute(TABLE)
    engine.define("line", [_task(1), _task(2, 1), _task(3, 2)])
    engine.define("diamond", [_task(1), _task(2, 1, seconds=0.3), _task(3, 1), _task(4, 2, 3)])
    engine.define("fan", [_task(1), *(_task(seq, 1) for seq in range(2, 9)), _task(9, *range(2, 9))])
    engine.define("limited", [_task(1, program="limited_trace"), _task(2, 1, program="limited_trace")])
    engine.define(
        "forking",
        [
            _task(1, program="fork_on_a_thread"),
            _task(2, program="fork_in_a_process"),
            _task(3, 1, 2, program="fork_on_the_loop"),
        ],
    )
    engine.define("ticking", [_task(1)])
    engine.define("flaky", [_task(1, fails=0.3), _task(2, 1, fails=0.3)])
    with psycopg.connect(engine.addresses.database_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO ms_schedule (name, task_id, every_seconds, overlap, catch_up, jitter_seconds)"
            " SELECT 'tick-' || n, 'ticking', 1, (ARRAY['skip', 'queue_one', 'queue', 'cancel', 'strict'])"
            "[1 + n %% 5], (ARRAY['latest', 'all', 'none'])[1 + n %% 3], (n %% 2) * 0.5"
            " FROM generate_series(1, %s) AS n",
            [schedules],
        )
    engine.ask("PUT", "/limits/program/limited_trace", {"maxRunning": limit})


def define_deciding(engine: RunningEngine) -> None:
    """Workflows that decide as they run: sub-flows, maps, decisions, signals, approvals and cleanups."""
    small = {"tasks": [_task(1), _task(2, 1, fails=0.1)], "returns": {"$from": 2}}
    engine.ask("PUT", "/workflows/small", small)
    engine.define("middle", [_child(1, "small"), _task(2, 1), _child(3, "small")])
    engine.define("tree", [_child(1, "middle"), _child(2, "small"), _task(3, 1, 2)])
    over, each = {"over": {"$from": 1}, "as": "n"}, {"n": {"$param": "n"}, "fails": 0.1}
    of_program = {"program": "item_trace", "parameters": {"fails": 0.1}}
    takes = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    one = [{"taskSeq": 1, "program": "item_trace", "parameters": each}]
    body = {"tasks": one, "returns": {"$from": 1}, "parametersSchema": takes}
    engine.ask("PUT", "/workflows/one-item", body)
    engine.define(
        "mapping",
        [
            _task(1, program="listed"),
            {**_task(2, 1, program="@map"), "parameters": over | of_program},
            _task(3, 1, program="@map", **over, workflow="one-item", limit=1),
            _task(4, 2, program="summed", numbers={"$from": 2}),
            _task(5, 3, program="summed", numbers={"$from": 3}),
        ],
    )
    engine.define(
        "chaining",
        [
            _task(1, program="listed"),
            {**_task(2, 1, program="@map"), "parameters": over | of_program},
            *(
                {**_task(seq, seq - 1, program="@map"), "parameters": along | of_program}
                for seq, along in (
                    (seq, {**over, "over": {"$from": seq - 1}, "aligned": True}) for seq in (3, 4)
                )
            ),
            _task(5, 4, program="summed", numbers={"$from": 4}),
        ],
    )
    small_loop = {"tasks": [_task(1, program="paged")], "returns": {"$from": 1}}
    engine.ask("PUT", "/workflows/small-loop", small_loop)
    whole_loop = {
        "tasks": [{**_task(1, program="paged_whole"), "parameters": {"page": {"$param": "page"}}}],
        "parametersSchema": {"type": "object", "properties": {"page": {"type": "integer", "default": 0}}},
        "returns": {"$from": 1},
    }
    engine.ask("PUT", "/workflows/whole-loop", whole_loop)
    of_pages = {"over": {"$from": 1}, "as": "n", "program": "paged"}
    engine.define(
        "looping",
        [
            _task(1, program="paged"),
            {**_task(2, 1, program="@map"), "parameters": of_pages},
            _child(3, "small-loop"),
            _task(4, 2, 3),
            _child(5, "whole-loop"),
        ],
    )
    engine.define(
        "deciding",
        [
            _task(1),
            _task(2, 1, program="@when", condition=["gt", {"$from": 1}, 1]),
            {**_task(3), "when": [2, True]},
            {**_task(4), "when": [2, False]},
            _task(5, 3, 4),
        ],
    )
    engine.define(ASKING, [_task(1), _task(2, 1, program="@approval"), _task(3, 2), _child(4, "small", 2)])
    go = {"program": "@event", "name": "go"}
    engine.define(SIGNALLED, [_task(1, **go), _task(2, **go), _task(3, 1), _task(4, 3, **go), _task(5, 2, 4)])
    define_ending(engine)


def _child(seq: int, workflow: str, *depends_on: int) -> dict[str, Any]:
    return _task(seq, *depends_on, program="@flow", workflow=workflow)


def pause_schedules(engine: RunningEngine) -> None:
    """No more flows begin by themselves."""
    with psycopg.connect(engine.addresses.database_url, autocommit=True) as connection:
        connection.execute("UPDATE ms_schedule SET is_paused = true")


def have_paused(engine: RunningEngine, schedules: int = SCHEDULES) -> bool:
    """Whether the engine has heard of it."""
    with psycopg.connect(engine.addresses.database_url, autocommit=True) as connection:
        row = connection.execute("SELECT count(*) FROM kr_schedule WHERE state = 'paused'").fetchone()
    return row == (schedules,)


def projected(engine: RunningEngine, flows: list[str]) -> list[str]:
    """Those of the flows that Postgres knows."""
    with psycopg.connect(engine.addresses.database_url, autocommit=True) as connection:
        rows = connection.execute(
            "SELECT task_flow_id FROM kr_flow_stat WHERE task_flow_id = ANY(%s)", [flows]
        ).fetchall()
    return [flow for (flow,) in rows]


def has_ended(engine: RunningEngine, flows: list[str]) -> bool:
    """Whether all flows have ended; lifts pauses and has failed tasks run again, as an operator would."""
    with psycopg.connect(engine.addresses.database_url, autocommit=True) as connection:
        rows = connection.execute(
            "SELECT task_flow_id, paused_ts IS NOT NULL, suspended > 0 FROM kr_flow_stat"
            " WHERE finished_ts IS NULL"
        ).fetchall()
        known = connection.execute(
            "SELECT count(*) FROM kr_flow_stat WHERE task_flow_id = ANY(%s)", [flows]
        ).fetchone()
        waiting = connection.execute(
            "SELECT flow.task_flow_id, count(*) FROM kr_task_stat AS task JOIN kr_flow_stat AS flow"
            " USING (task_flow_id) WHERE flow.task_id = %s AND flow.finished_ts IS NULL"
            " AND task.program = '@event' AND task.exec_status = 0 GROUP BY 1",
            [SIGNALLED],
        ).fetchall()
    answer_all(engine.client, [], [])
    vote_all(engine.client, "ann", [], times=1)
    for key in range(KEYS):  # whoever awaits it
        engine.client.post("/signals", json={"name": MAIL, "key": f"k{key}"})
    for flow, count in waiting:
        for number in range(count):
            send(engine.client, flow, f"after-{time.monotonic_ns()}-{number}")
    for flow, is_paused, has_failed in rows:
        if is_paused or has_failed:
            engine.client.post(f"/flows/{flow}/resume")
            engine.client.post(f"/flows/{flow}/rerun", json={"selection": "failed"})
    return not rows and known == (len(flows),)
