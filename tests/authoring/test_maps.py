"""Maps in the body of a workflow: what they become, what they refuse, and how a flow with them goes."""

from typing import Any

import msgspec
import pytest

from flower_engine import DefinitionError, Outcome, RetryPolicy, flat, outcomes, program, workflow, zipped
from flower_engine.authoring.workflow import Workflow
from flower_engine.model.definitions.workflow_document import WorkflowDocument
from flower_engine.testing import FlowerTest


class File(msgspec.Struct):
    path: str
    size: int = 0


@program("maps: list")
def list_files(day: str) -> list[File]:
    return [File(name, len(name)) for name in day.split()]


@program("maps: count")
async def count(file: File, *, strict: bool = False, bias: int = 0) -> int:
    if file.path == "bad":
        raise ValueError("no")
    return file.size + bias


@program("maps: double")
def double(number: int) -> int:
    return 2 * number


@program("maps: combine")
def combine(numbers: list[int], more: list[int]) -> int:
    return sum(numbers) * 100 + sum(more)


@program("maps: tell")
def tell(totals: list[Outcome[int]]) -> list[str]:
    return [f"{one.key} {one.status} {one.result} {one.error}" for one in totals]


@workflow("maps: told")
def told(day: str) -> list[str]:
    totals = count.having(limit=2, tolerate=1, key="path").map(list_files.step(day))
    return tell.step(outcomes(totals))


@program("maps: sizes")
def list_sizes(day: str) -> list[int]:
    return [len(name) for name in day.split()]


@program("maps: compare")
def compare(pair: tuple[File, int], *, factor: int = 1) -> int:
    file, total = pair
    return (total - file.size) * factor


@program("maps: letters")
def letters(day: str) -> list[list[str]]:
    return [list(word) for word in day.split()]


@program("maps: upper")
def upper(letter: str) -> str:
    return letter.upper()


@workflow("maps: pairs")
def pairs(day: str) -> list[int]:
    files = list_files.step(day)
    return compare.having(key="/0/path").map(zipped(files, count.map(files, bias=2)), factor=10)


@workflow("maps: flat")
def spelled(day: str) -> list[str]:
    return upper.map(flat(letters.step(day)))


@workflow("maps: all")
def counted(day: str, bias: int = 0) -> int:
    files = list_files.step(day)
    totals = count.having(retry=RetryPolicy(2, delay=1), priority=-3).map(files, strict=True, bias=bias)
    doubled = double.map(totals)
    given = double.map([1, 2])
    return combine.step(doubled, given)


def tasks_of(flow: Workflow[Any, Any]) -> dict[str, dict[str, Any]]:
    document = msgspec.json.decode(msgspec.json.encode(flow.document()))
    return {task["taskName"]: task for task in document["tasks"]}


def test_a_map_is_a_task_that_goes_over_a_list() -> None:
    tasks = tasks_of(counted)
    assert tasks["totals"] == {
        "taskSeq": 2,
        "taskName": "totals",
        "program": "@map",
        "dependsOn": ["files"],
        "parameters": {
            "over": {"$from": "files"},
            "program": "maps: count",
            "as": "file",
            "parameters": {"strict": True, "bias": {"$param": "bias"}},
        },
        "taskPriority": -3,
        "retry": tasks["totals"]["retry"],
    }
    assert tasks["given"]["parameters"] == {"over": [1, 2], "program": "maps: double", "as": "number"}
    assert tasks["given"]["dependsOn"] == []


@program("maps: join")
def join(number: int, total: int) -> int:
    return number + total


@workflow("maps: aligned")
def aligned(day: str) -> list[int]:
    totals = count.having(tolerate=1).map(list_files.step(day))
    doubled = double.having(limit=1).map(totals)
    tell.step(outcomes(totals))  # of which the chain knows nothing
    return double.map(doubled)


@workflow("maps: not aligned")
def not_aligned(day: str) -> None:
    totals = count.map(list_files.step(day))
    double.having(name="asked", aligned=False).map(totals)
    double.having(name="keyed", key="").map(totals)
    join.having(name="with_more").map(totals, combine.step([1], [2]))
    double.having(name="a_part").map([totals[0]])


def test_a_map_over_the_result_of_another_one_goes_along_it_where_it_may() -> None:
    assert tasks_of(aligned)["doubled"]["parameters"] == {
        "over": {"$from": "totals"},
        "program": "maps: double",
        "as": "number",
        "limit": 1,
        "aligned": True,
    }
    told = {name: task["parameters"].get("aligned") for name, task in tasks_of(not_aligned).items()}
    assert [told[name] for name in ("asked", "keyed", "with_more", "a_part")] == [None] * 4


def test_items_of_a_chain_run_and_one_that_is_given_up_is_left_out_of_all_of_it(flower: FlowerTest) -> None:
    assert flower.run(aligned, day="a bb").result == [4, 8]
    assert flower.run(aligned, day="").result == []
    run = flower.start(aligned, day="a bad cc")
    assert run.settle() == "Failed"  # something of it was given up
    assert run.tasks["maps_double"].result == [4, 8]


def along_pairs(day: str) -> None:
    totals = count.map(list_files.step(day))
    doubled = double.map(totals)
    join_pair.having(aligned=True).map(zipped(totals, doubled))


def along_flat(day: str) -> None:
    double.having(aligned=True).map(flat(halves.map(list_sizes.step(day))))


def along_with_a_key(day: str) -> None:
    double.having(aligned=True, key="").map(count.map(list_files.step(day)))


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (along_pairs, "Let the map right before it return all that they take"),
        (along_flat, "Go along it with a map of a workflow"),
        (along_with_a_key, "Say 'key' at the first map of the chain"),
    ],
)
def test_what_an_aligned_map_cannot_do_says_what_can_be_written(function: Any, said: str) -> None:
    line = function.__code__.co_firstlineno
    with pytest.raises(DefinitionError, match=f"test_maps.py:({line + 1}|{line + 3}): ") as error:
        Workflow(function, "refused").document()
    assert said in str(error.value)
    assert len(error.value.problems) == 1


@program("maps: join pair")
def join_pair(pair: tuple[int, int]) -> int:
    return sum(pair)


@program("maps: halves")
def halves(number: int) -> list[int]:
    return [number // 2, number - number // 2]


@program("maps: with double")
def with_double(total: int) -> tuple[int, int]:
    return total, 2 * total


@workflow("maps: along pairs")
def pairs_along(day: str) -> list[int]:
    return join_pair.map(with_double.map(count.map(list_files.step(day))))


@workflow("maps: doubled halves")
def doubled_halves(parts: list[int]) -> list[int]:
    return double.map(parts)


@workflow("maps: along lists")
def lists_along(day: str) -> list[list[int]]:
    return doubled_halves.map(halves.map(count.map(list_files.step(day))))


@workflow("maps: along lists as a whole")
def lists_as_a_whole(day: str) -> list[list[int]]:
    return doubled_halves.having(aligned=False).map(halves.map(count.map(list_files.step(day))))


@workflow("maps: keys along")
def keys_along(day: str) -> list[int]:
    return double.map(count.having(key="path").map(list_files.step(day)))


def test_what_can_be_written_instead_goes_along_item_by_item(flower: FlowerTest) -> None:
    for one in (pairs_along, lists_along, keys_along):
        assert [task["parameters"].get("aligned") for task in tasks_of(one).values()][2:] in (
            [True],
            [True] * 2,
        )
    assert flower.run(pairs_along, day="a bb").result == [3, 6]
    assert flower.run(lists_along, day="a bb").result == [[0, 2], [2, 2]]
    assert flower.run(keys_along, day="a bb").result == [2, 4]


def test_a_map_of_a_workflow_waits_for_the_whole_list_where_its_step_says_so(flower: FlowerTest) -> None:
    assert "aligned" not in [*tasks_of(lists_as_a_whole).values()][-1]["parameters"]
    assert flower.run(lists_as_a_whole, day="a bb").result == [[0, 2], [2, 2]]


def of_another_type(day: str) -> None:
    double.map(list_files.step(day))  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


def of_no_list(day: str) -> None:
    count.map(list_files.step(day)[0])  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


def without_a_list(day: str) -> None:
    count.map(file=list_files.step(day))  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]


def with_pairs_of_another_type(day: str) -> None:
    numbers = list_sizes.step(day)
    compare.map(zipped(numbers, numbers))  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


def with_lists_of_no_lists(day: str) -> None:
    upper.map(flat(list_files.step(day)))  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


def with_pairs_for_no_pairs(day: str) -> None:
    files = list_files.step(day)
    double.map(zipped(files, files))  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


def with_a_step_that_tolerates(day: str) -> None:
    count.having(tolerate=1).step(list_files.step(day)[0])


def with_a_key_that_no_element_has(day: str) -> None:
    count.having(key="pth").map(list_files.step(day))


def with_outcomes_of_no_map(day: str) -> None:
    tell.step(outcomes(list_files.step(day)))  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


def with_outcomes_and_the_list(day: str) -> None:
    totals = count.map(list_files.step(day))
    tell.step(outcomes(totals))
    combine.step(totals, [])


def with_the_list_and_outcomes(day: str) -> None:
    totals = count.map(list_files.step(day))
    combine.step(totals, [])
    tell.step(outcomes(totals))


def with_a_wrong_name(day: str) -> None:
    count.map(list_files.step(day), strct=True)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (of_another_type, "which does not fit list[int]"),
        (of_no_list, "of type File, which does not fit list["),
        (without_a_list, "takes the list that it goes over as its first argument"),
        (with_pairs_of_another_type, "of type list[int], which does not fit list["),
        (with_lists_of_no_lists, "which does not fit list[list[str]]"),
        (with_pairs_for_no_pairs, "is 2 lists side by side, which do not fit int"),
        (with_a_step_that_tolerates, "tolerate=... is of items: write it for .map(...)"),
        (with_a_key_that_no_element_has, "key='pth' is no field of its elements: File has no field 'pth'"),
        (with_outcomes_of_no_map, "give it the result of .map(...), whole"),
        (with_outcomes_and_the_list, "which is used as outcomes(totals), too"),
        (with_the_list_and_outcomes, "totals is used as the list of what its items return, and as outcomes"),
        (with_a_wrong_name, "has no parameter 'strct'; nearest: strict"),
    ],
)
def test_what_is_no_list_of_what_the_program_takes_is_refused_where_it_stands(body: Any, said: str) -> None:
    with pytest.raises(DefinitionError) as error:
        Workflow(body, "refused").document()
    assert said in str(error.value)
    assert __file__ in str(error.value)


def test_a_document_of_a_map_is_exact() -> None:
    document = counted.document()
    again = msgspec.convert(document, WorkflowDocument).to_model()
    assert WorkflowDocument.of(again).to_model() == again


def test_outside_a_workflow_it_says_what_to_do() -> None:
    with pytest.raises(DefinitionError, match=r"makes a task of a workflow.*call it"):
        double.map([1])


def test_items_run_and_their_results_are_a_list_again(flower: FlowerTest) -> None:
    run = flower.run(counted, day="a bb ccc", bias=1)
    assert run.result == (2 + 3 + 4) * 2 * 100 + 6


def test_lists_are_mapped_side_by_side_and_one_after_another(flower: FlowerTest) -> None:
    assert flower.run(pairs, day="a bb ccc").result == [20, 20, 20]
    assert flower.run(pairs, day="").result == []
    assert flower.run(spelled, day="ab c").result == ["A", "B", "C"]


def test_a_program_is_told_what_became_of_each_item(flower: FlowerTest) -> None:
    assert flower.run(told, day="a bbb ccc").result == ["a finished 1 ", "bbb finished 3 ", "ccc finished 3 "]
    run = flower.start(told, day="a bad ccc")
    assert run.settle() == "Failed"  # something of it was given up
    assert run.tasks["maps_tell"].result == [
        "a finished 1 ",
        "bad given_up None ValueError: no",
        "ccc finished 3 ",
    ]


@program("maps: keyed")
def keyed(totals: list[Outcome[int]]) -> list[str]:
    return [f"{one.index} {one.key} {one.status}" for one in totals]


@workflow
def told_behind(day: str) -> list[str]:
    counts = count.having(key="path", tolerate=1).map(list_files.step(day))
    return keyed.step(outcomes(double.map(counts)))


def test_outcomes_of_a_map_that_goes_along_another_one_have_the_keys_of_that(flower: FlowerTest) -> None:
    run = flower.start(told_behind, day="a bad ccc")
    assert run.settle() == "Failed"  # something of it was given up
    assert run.tasks["maps_keyed"].result == ["0 a finished", "1 bad ignored", "2 ccc finished"]


def test_an_empty_list_goes_along_the_chain(flower: FlowerTest) -> None:
    """pgflow: a map of nothing in the middle of a chain."""
    assert flower.run(counted, day="").result == 6


def test_stubs_stand_in_for_items(flower: FlowerTest) -> None:
    def of_file(file: File, **_: Any) -> int:
        return len(file.path) * 10

    flower.stub(count, of_file)
    assert flower.run(counted, day="a bb").result == (10 + 20) * 2 * 100 + 6
