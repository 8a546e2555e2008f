"""The shapes are what their README says, and can be planned."""

from pathlib import Path

import pytest

from flower_engine.model.definitions.definition import plan_flow
from shapes.loading import SHAPES, load_shape


@pytest.mark.parametrize(
    ("name", "tasks", "edges", "roots"), [("montage-58", 58, 114, 12), ("montage-310", 310, 798, 48)]
)
def test_a_shape_can_be_planned(name: str, tasks: int, edges: int, roots: int) -> None:
    planned = plan_flow(load_shape(name))
    assert len(planned) == tasks
    assert sum(len(task.depends_on) for task in planned) == edges
    assert sum(not task.depends_on for task in planned) == roots


@pytest.mark.parametrize("name", SHAPES)
def test_every_task_runs_the_program_asked_for_with_parameters_of_its_own(name: str) -> None:
    tasks = load_shape(name, program="Sleep", parameters=lambda node: {"MS": node.runtime_ms}).tasks
    assert {task.program for task in tasks} == {"Sleep"}
    assert all(task.parameters["MS"] > 0 for task in tasks)


def test_tasks_have_no_parameters_unless_asked_for() -> None:
    assert all(task.parameters == {} for task in load_shape("montage-58").tasks)


def test_every_file_of_the_folder_is_a_shape() -> None:
    files = {file.stem for file in Path(__file__).parent.glob("*.json")}
    assert files == set(SHAPES)
