"""What a new field of a task's specification has to touch: for each place a test that names the file.

``docs/adding.md`` lists them. The tests that need stores are in ``tests/api/test_every_field.py``,
``tests/projection/test_task_columns.py`` and ``tests/scripts/test_snapshot_fields.py``.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from filled_tasks import filled_definition, filled_task, other_than_the_default
from flower_cli.commands.show import print_task
from flower_engine.model.definitions.definition import plan_flow
from flower_engine.model.definitions.task_message import CARRIED, SnapshotMessage
from flower_engine.model.events.events import FlowRegistered
from flower_engine.model.folding.fold import fold
from flower_engine.model.tasks.field_types import SPEC_FIELDS
from flower_engine.projection.read.state_views import view_of_state
from flower_engine.projection.read.views import FlowView, TaskDetail, TaskView
from flower_engine.projection.task_columns import FLOW_COLUMNS_OF, NOT_IN_FLOWS, columns_of_field

ROOT = Path(__file__).parents[2]
READ = ROOT / "shared" / "flower_engine" / "projection" / "read"

HELD_ELSEWHERE = {
    "seq": "the names of a flow's fields in Redis have it",
    "priority": "the lane's name has it",
    "queue": "the lane's name has it",
    "units": "the lane's name has it",
    "depends_on": "the edges (dN) have it",
    "retry": "the policy (pN) has it, the message its error types",
    "timeout_ms": "the policy (pN) has it",
    "queue_timeout_ms": "the policy (pN) has it",
}
"""Fields that a transition acts on, and where Redis holds them instead of the message."""

NOT_IN_SHOW = {
    "task_seq": "what commands take is taskExecSeq",
    "priority": "flower why says what is before it",
    "queue": "flower why says who serves it",
    "depends_on": "the tree of flower show FLOW draws it",
    "when": "it says so in words",
}
"""Fields of a flow's task that ``flower show FLOW --task N`` leaves out."""


def camel(column: str) -> str:
    first, *rest = column.split("_")
    return first + "".join(map(str.capitalize, rest))


def filled_flow() -> FlowView:
    tasks = plan_flow(filled_definition())
    flow = "018f3c5e-7a10-7000-8000-000000000001"
    event = FlowRegistered(at=1, flow=flow, v=1, workflow="filled", order=0, tasks=tasks)
    return view_of_state(fold([event])[flow], 0)


@pytest.mark.parametrize("name", [name for name in SPEC_FIELDS if name not in ("seq", "depends_on", "when")])
def test_a_plan_has_what_its_definition_says(name: str) -> None:
    assert getattr(filled_task(), name) == other_than_the_default(SPEC_FIELDS[name])


@pytest.mark.parametrize("name", SPEC_FIELDS)
def test_redis_holds_every_field(name: str) -> None:
    is_carried = name in CARRIED and name in SnapshotMessage.__struct_fields__
    assert is_carried != (name in HELD_ELSEWHERE), (
        f"{name}: a flow whose events are lost would lose it; let both classes of"
        " model/definitions/task_message.py carry it, or say here where else Redis holds it"
    )


@pytest.mark.parametrize("name", FLOW_COLUMNS_OF)
def test_a_flow_shows_every_field(name: str) -> None:
    column = FLOW_COLUMNS_OF[name]
    assert {column, f"{column}_"}.intersection(TaskView.__struct_fields__), (
        f"{name}: shared/flower_engine/projection/read/views.py has no {column} in TaskView"
    )
    text = (READ / "queries.py").read_text()
    assert re.search(rf"'{camel(column)}', [^']*\btask\.{column}\b", text), (
        f"{name}: shared/flower_engine/projection/read/queries.py does not select task.{column}"
    )
    field = column if column in TaskView.__struct_fields__ else f"{column}_"  # a word of Python
    shown = getattr(filled_flow().tasks[1], field)
    planned = getattr(filled_task(), name)
    given = msgspec.json.decode(shown) if isinstance(shown, msgspec.Raw) else shown
    assert given == msgspec.to_builtins(planned) or tuple(given) == planned


def test_every_field_that_a_flow_does_not_show_is_one() -> None:
    assert NOT_IN_FLOWS.keys() <= SPEC_FIELDS.keys()


@pytest.mark.parametrize("name", FLOW_COLUMNS_OF)
def test_the_command_shows_every_field(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    flow = filled_flow()
    print_task(msgspec.json.decode(msgspec.json.encode(TaskDetail.of(flow, flow.tasks[1], []))))
    told = " ".join(capsys.readouterr().out.split())
    value: Any = other_than_the_default(SPEC_FIELDS[name])
    text = msgspec.json.encode(value).decode() if isinstance(value, Mapping) else str(value)
    assert text in told or name in NOT_IN_SHOW, (
        f"{name}: flower show does not print it; services/flower_cli/commands/show.py"
    )


@pytest.mark.parametrize("name", [name for name in SPEC_FIELDS if name != "seq"])
def test_the_readme_says_where_every_field_is_defined(name: str) -> None:
    rows = re.findall(r"^\| `ms_task_definition` .*$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert f"`{columns_of_field(name)[0].name}`" in rows[0], (
        f"{name}: the row of ms_task_definition in README.md does not name it"
    )
