"""Definitions with maps: what is refused, and what items are told apart by."""

import re
from typing import Any

import msgspec
import pytest

from flower_engine.errors import DefinitionError
from flower_engine.model.definitions.definition import (
    Keying,
    TaskDefinition,
    TaskKeys,
    WorkflowDefinition,
    plan_flow,
)
from flower_engine.model.definitions.task_message import message_of
from flower_engine.model.definitions.task_rules import TaskRules, rule_in_force
from flower_engine.model.flow_control.lanes import lane_of, parse_lane
from flower_engine.model.maps.map_expansion import Expansion, expansion_of
from flower_engine.model.maps.map_items import item_like, items_of, with_items
from flower_engine.model.maps.map_lists import ListError, elements_of
from flower_engine.model.tasks.rules import Rule

RIGHT: dict[str, Any] = {"over": {"$from": 1}, "program": "count", "as": "file"}


def planned(keying: Keying | None = None, schema: dict[str, Any] | None = None, **of_map: Any) -> Any:
    parameters = {**RIGHT, **of_map.pop("parameters", {})}
    parameters = {name: value for name, value in parameters.items() if value is not ...}
    tasks = (
        TaskDefinition(task_seq=1, program="list"),
        TaskDefinition(task_seq=2, program="@map", depends_on=(1,), parameters=parameters, **of_map),
    )
    definition = WorkflowDefinition(
        name="w", tasks=tasks, keying=keying or Keying(), parameters_schema=schema
    )
    return plan_flow(definition)[1]


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"over": ...}, "lacks the parameter 'over'"),
        ({"over": 3}, "its 'over' is 3: it is a list, or a reference to one"),
        ({"program": "@sleep"}, "only programs that workers run can be mapped"),
        ({"as": 3}, "it is the name of the parameter that takes the element"),
        ({"parameters": {"file": 1}}, "have 'file', which each element is given as"),
        ({"parameters": [1]}, "they are an object"),
        ({"parameters": {"key": {"$secret": "KEY"}}}, "takes the secret 'KEY'"),
        ({"ower": 1}, "has no parameter 'ower'; it takes over, program, workflow, as, parameters, zipped"),
        ({"zipped": True, "over": [[1]]}, "is 'zipped': its 'over' has two lists, or more"),
        ({"zipped": True, "flat": True}, "is 'zipped' and 'flat': it is one of them"),
        ({"flat": 1}, "its 'flat' is 1: it is true or false"),
        ({"key": 3}, "its 'key' is 3: it says where in an element its key stands"),
        ({"key": "a"}, "its 'key' 'a' is no JSON Pointer"),
        ({"limit": 0}, "its 'limit' is 0: it is a whole number of 1..10000"),
        ({"tolerate": 1.5}, "its 'tolerate' is 1.5: it is a whole number of 0..10000, or a share"),
        ({"outcomes": 1}, "its 'outcomes' is 1: it is true or false"),
    ],
)
def test_what_is_wrong_with_a_map_is_said(parameters: dict[str, Any], said: str) -> None:
    with pytest.raises(DefinitionError, match="task_seq 2\\) is a map") as error:
        planned(parameters=parameters)
    assert said in str(error.value)


ALONG: dict[str, Any] = {"over": {"$from": 2}, "program": "count", "as": "file", "aligned": True}


@pytest.mark.parametrize(
    ("parameters", "of_map", "said"),
    [
        ({"aligned": 1}, {}, "its 'aligned' is 1: it is true or false"),
        ({"key": ""}, {}, "and has 'key': its items have the keys of those that they go along. Say 'key' at"),
        ({"flat": True}, {}, "and has 'flat': how many elements an item comes to nobody knows before it has"),
        (
            {"zipped": True, "over": [{"$from": 2}, {"$from": 2}]},
            {},
            "and has 'zipped': its items would wait for those of several maps",
        ),
        ({"over": {"$from": 1}}, {"depends_on": (1,)}, "is not the whole result of another map"),
        ({"over": {"$from": 2, "path": "/0"}}, {}, "is not the whole result of another map"),
        ({"parameters": {"all": {"$from": 2}}}, {}, "or it takes more than that"),
        ({}, {"depends_on": (1, 2)}, "and waits for task 1, too: its items wait for those of one map only"),
        ({}, {"rule": "settled"}, "and has the rule 'settled'; an aligned map has 'ready'"),
        ({}, {"finally_": True}, "and cleans up (finally): an aligned map does not"),
    ],
)
def test_what_is_wrong_with_an_aligned_map_is_said(
    parameters: dict[str, Any], of_map: dict[str, Any], said: str
) -> None:
    body: dict[str, Any] = {"depends_on": (2,), "parameters": {**ALONG, **parameters}, **of_map}
    tasks = (
        TaskDefinition(task_seq=1, program="list"),
        TaskDefinition(task_seq=2, program="@map", depends_on=(1,), parameters=RIGHT),
        TaskDefinition(task_seq=3, program="@map", **body),
    )
    with pytest.raises(DefinitionError, match="task_seq 3\\) is a map") as error:
        plan_flow(WorkflowDefinition(name="w", tasks=tasks))
    assert said in str(error.value)


def side_by_side(
    *, of: int = 0, first: int = 0, second: int = 0, **more: dict[str, Any]
) -> WorkflowDefinition:
    """Two maps that go along a third one, and one over the lists of both; how many items each tolerates."""
    tolerate = {2: of, 3: first, 4: second}
    over: dict[int, dict[str, Any]] = {2: RIGHT, 3: ALONG, 4: ALONG}
    given = {seq: over[seq] | ({"tolerate": count} if count else {}) for seq, count in tolerate.items()}
    given[4] |= more.get("fourth", {})
    pairs: dict[str, Any] = {
        "over": [{"$from": 3}, {"$from": 4}],
        "zipped": True,
        "program": "p",
        "as": "pair",
    }
    return WorkflowDefinition(
        name="w",
        tasks=(
            TaskDefinition(task_seq=1, program="list"),
            *(
                TaskDefinition(task_seq=seq, program="@map", depends_on=(min(seq - 1, 2),), parameters=one)
                for seq, one in given.items()
            ),
            TaskDefinition(
                task_seq=5, program="@map", depends_on=(3, 4), parameters=pairs | more.get("fifth", {})
            ),
        ),
    )


@pytest.mark.parametrize(
    "definition",
    [
        side_by_side(first=1, second=1),
        side_by_side(of=1, first=1, second=1),
        side_by_side(first=1, second=1, fifth={"over": [{"$from": 3}, {"$from": 2}, {"$from": 4}]}),
    ],
)
def test_lists_from_which_each_may_lack_something_else_are_not_paired(definition: WorkflowDefinition) -> None:
    with pytest.raises(
        DefinitionError, match=r"task_seq 5\) is a map .*tolerate' of tasks 3 and 4.*'outcomes'"
    ):
        plan_flow(definition)


@pytest.mark.parametrize(
    "definition",
    [
        side_by_side(),
        side_by_side(of=1),  # both lack the same
        side_by_side(of=1, second=1),  # the second is the shorter one whenever it lacks more
        side_by_side(first=1, second=1, fourth={"outcomes": True}),
        side_by_side(first=1, second=1, fourth={"over": {"$from": 3}}),  # one behind the other
        side_by_side(first=1, second=1, fifth={"over": [{"$from": 3}, {"$from": 3}, [1]]}),
    ],
)
def test_other_lists_are(definition: WorkflowDefinition) -> None:
    fourth = definition.tasks[3]
    if fourth.parameters["over"] == {"$from": 3}:
        behind = msgspec.structs.replace(fourth, depends_on=(3,))
        tasks = (*definition.tasks[:3], behind, definition.tasks[4])
        definition = msgspec.structs.replace(definition, tasks=tasks)
    assert plan_flow(definition)[4].parameters["zipped"] is True


def test_an_aligned_map_depends_on_the_one_before_it_where_nothing_is_said() -> None:
    tasks = (
        TaskDefinition(task_seq=1, program="@map", parameters={**RIGHT, "over": [1], "outcomes": True}),
        TaskDefinition(task_seq=3, program="@map", parameters={**ALONG, "over": {"$from": 1}}),
    )
    along = plan_flow(WorkflowDefinition(name="w", tasks=tasks))[1]
    assert (along.depends_on, along.parameters["over_outcomes"]) == ((1,), True)


@pytest.mark.parametrize("of_map", [{"rule": "any"}, {"rule": "failed"}])
def test_rules_by_which_a_map_could_begin_too_early_are_refused(of_map: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError, match="is a map"):
        planned(**of_map)


@pytest.mark.parametrize(
    ("elements", "said"),
    [
        ('[{"a":1},{"a":2},{"a":1}]', "elements 0 and 2 have the same key '1'"),
        ('[{"a":1},{"a":"1"}]', "elements 0 and 1 have the same key '1'"),
        ('[{"b":1}]', "the key of element 0, at '/a', is not there: there is an object with b"),
        ('[{"a":"x"},{"a":[1]}]', "the key of element 1, at '/a', is a list of length 1"),
        ('[{"a":""}]', "has 0 characters; 1 to 256 may be"),
        ('[{"a":"\\u0000"}]', "which is not printable"),
    ],
)
def test_elements_that_cannot_be_told_apart_are_refused_by_their_indexes(elements: str, said: str) -> None:
    task = planned(parameters={"key": "/a"})
    lane = parse_lane(lane_of("w", task))
    assert lane is not None
    found = expansion_of(message_of("w", task), lane, None, {1: elements.encode()})
    assert not isinstance(found, Expansion)
    assert said in msgspec.json.decode(found.payload)["message"]


@pytest.mark.parametrize(
    ("common", "element", "count", "said"),
    [
        ("", 60_000, 300, r": 18000600 of the list, .* give them names or paths"),
        (
            "x" * 10_000,
            1,
            2_000,
            r": 6000 of the list, and 10\d+ of parameters 2000 times; 16777216 may be: let the",
        ),
    ],
)
def test_what_is_too_much_for_all_items_together_says_whose_part_is_much(
    common: str, element: int, count: int, said: str
) -> None:
    task = planned(parameters={"parameters": {"shop": common}})
    lane = parse_lane(lane_of("w", task))
    assert lane is not None
    elements = msgspec.json.encode(["y" * element] * count)
    found = expansion_of(message_of("w", task), lane, None, {1: elements})
    assert not isinstance(found, Expansion)
    error = msgspec.json.decode(found.payload)
    assert error["type"] == "ListError"
    assert re.search(said, error["message"]), error["message"]


LISTS: list[tuple[str, Any, Any]] = [
    ("zipped", [[1, 2], ["a", "b"]], [[1, "a"], [2, "b"]]),
    ("zipped", [[], []], []),
    ("zipped", [[1, 2], ["a"]], "the lists that the map goes over side by side have 2, 1 elements"),
    ("zipped", [[1, 2], None], "list 2 of those is null, no list"),
    ("flat", [[1, 2], [], [3]], [1, 2, 3]),
    ("flat", [[1, 2], "abc"], "element 1 is text, no list"),
]


@pytest.mark.parametrize(("how", "over", "elements"), LISTS)
def test_lists_are_gone_over_side_by_side_or_one_after_another(how: str, over: Any, elements: Any) -> None:
    if isinstance(elements, str):
        with pytest.raises(ListError) as error:
            elements_of({how: True}, over)
        assert elements in str(error.value)
    else:
        assert elements_of({how: True}, over) == elements


def test_items_are_told_apart_by_their_elements_and_by_what_all_are_given() -> None:
    keying = Keying(fair_by="file", limit_by="shop", programs={"count": "file"})
    task = planned(keying, parameters={"parameters": {"shop": "x"}})
    assert (task.fair_key, task.workflow_key, task.program_key) == ("", "x", "")
    lane = parse_lane(lane_of("w", task))
    assert lane is not None
    made = expansion_of(message_of("w", task), lane, None, {1: b'["a","b"]'})
    assert isinstance(made, Expansion)
    items = list(items_of(2, 3, made.item, made.given))
    assert [
        TaskKeys(fair_key=one.fair_key, workflow_key=one.workflow_key, program_key=one.program_key)
        for one in items
    ] == [TaskKeys(fair_key=name, workflow_key="x", program_key=name) for name in "ab"]
    assert [one.parameters for one in items] == [{"shop": "x", "file": name} for name in "ab"]


@pytest.mark.parametrize(
    ("of_map", "said"),
    [
        ({"on_failure": "give_up", "rule": "settled"}, "a map with on_failure 'give_up' has one of ready"),
        ({"on_failure": "hold:60", "finally_": True}, "(finally): with on_failure 'hold:60' it does not"),
        (
            {"on_failure": "pass", "parameters": {**RIGHT, "tolerate": 1}},
            "'tolerate' with on_failure 'pass', by which none is given up: say one of them",
        ),
        ({"on_failure": "drop"}, "has on_failure 'drop', which is none of hold"),
        ({"stand_in": 7}, "has a stand_in with on_failure 'hold'"),
    ],
)
def test_what_cannot_follow_the_failure_of_items_is_said(of_map: dict[str, Any], said: str) -> None:
    with pytest.raises(DefinitionError) as error:
        planned(None, None, **{"parameters": RIGHT, **of_map})
    assert said in str(error.value)


@pytest.mark.parametrize("on_failure", ["give_up", "hold:60", "pass", "hold"])
@pytest.mark.parametrize("stand_in", [None, 7])
def test_items_have_what_their_map_says_of_failures(on_failure: str, stand_in: Any) -> None:
    of_pass = {"stand_in": stand_in} if on_failure == "pass" else {}
    map_ = planned(parameters=RIGHT, on_failure=on_failure, **of_pass)
    item = item_like(map_, RIGHT)
    assert (item.on_failure, item.stand_in) == (on_failure, of_pass.get("stand_in"))
    rules = TaskRules.of(map_)
    assert (rules is None) == (on_failure == "hold")
    if rules is not None:  # what stands in is the result of an item, and no list
        assert (rules.on_failure, rules.stand_in) == ("hold" if on_failure == "pass" else on_failure, None)


@pytest.mark.parametrize(
    ("on_failure", "tolerate", "of_items", "rule"),
    [
        ("hold", None, "hold", Rule("ready")),
        ("hold", 1, "give_up", Rule("tolerated", 1)),
        ("pass", None, "pass", Rule("ready")),
        ("give_up", None, "give_up", Rule("tolerated", 4)),
        ("give_up", 1, "give_up", Rule("tolerated", 4)),
        ("hold:60", 0.5, "hold:60", Rule("tolerated", 4)),
    ],
)
def test_a_map_that_may_be_given_up_waits_for_all_of_its_items(
    on_failure: str, tolerate: float | None, of_items: str, rule: Rule
) -> None:
    """One that is held stops the others; behind one that was given up nobody would start them."""
    parameters = RIGHT if tolerate is None else {**RIGHT, "tolerate": tolerate}
    map_ = planned(parameters=parameters, on_failure=on_failure)
    assert rule_in_force(with_items(map_, 3, 4)) == rule
    item = item_like(map_, parameters, ("f", 2))
    assert (item.on_failure, item.window) == (of_items, "-t.f.2" if rule.most == 1 else "")


@pytest.mark.parametrize("on_failure", ["give_up", "hold:60"])
def test_nothing_goes_along_a_map_that_may_be_given_up_as_a_whole(on_failure: str) -> None:
    tasks = (
        TaskDefinition(task_seq=1, program="list"),
        TaskDefinition(task_seq=2, program="@map", depends_on=(1,), parameters=RIGHT, on_failure=on_failure),
        TaskDefinition(task_seq=3, program="@map", depends_on=(2,), parameters=ALONG),
    )
    with pytest.raises(DefinitionError, match="goes along task 2, which may be given up as a whole"):
        plan_flow(WorkflowDefinition(name="w", tasks=tasks))


def test_lists_that_lack_what_was_passed_over_are_not_paired() -> None:
    definition = side_by_side(of=0)
    first, *others = definition.tasks
    passing = [
        msgspec.structs.replace(one, on_failure="pass") if one.task_seq in (3, 4) else one for one in others
    ]
    with pytest.raises(DefinitionError, match="on_failure 'pass', or 'tolerate' of tasks 3 and 4"):
        plan_flow(msgspec.structs.replace(definition, tasks=(first, *passing)))
    standing = [
        msgspec.structs.replace(one, stand_in=0) if one.on_failure == "pass" else one for one in passing
    ]
    plan_flow(msgspec.structs.replace(definition, tasks=(first, *standing)))
