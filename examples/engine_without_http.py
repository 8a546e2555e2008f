"""The engine without HTTP: registers a flow, reads it, explains why it waits, and reruns a task.

``flower urls`` prints the two variables that it needs, FLOWER_REDIS_URL and FLOWER_DATABASE_URL.
"""

import asyncio

from flower_engine.flows.flow_operations import Operator
from flower_engine.flows.history import find_flow
from flower_engine.flows.installed_stores import open_stores
from flower_engine.flows.registrations import start
from flower_engine.flows.wait_words import in_words
from flower_engine.flows.workflow_definitions import define
from flower_engine.model.definitions.definition import TaskDefinition, WorkflowDefinition
from flower_engine.runtime.settings_loading import load_settings


async def main() -> None:
    async with open_stores(load_settings()) as stores:
        tasks = (TaskDefinition(task_seq=1, program="Fetch"), TaskDefinition(task_seq=2, program="Count"))
        await define(stores, WorkflowDefinition(name="without-http", tasks=tasks))
        flow_id = (await start(stores, "without-http", by="example")).flow
        for task in (await find_flow(stores, flow_id)).tasks:
            assert task.wait_reason is not None
            print(f"task {task.task_exec_seq} {task.program}: {in_words(task.wait_reason)}")
        operator = Operator(stores, flow_id, by="example")
        await operator.ignore([1], reason="to have something to run again")
        rerun = await operator.rerun([1], "dependents", {})
        print(f"task {rerun.tasks[0]} runs again, which is version {rerun.version} of the flow")


asyncio.run(main())
