"""Conditions: what is a right one, what it comes to, and its text."""

import operator
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flower_engine.errors import ConditionError, MissingInputError
from flower_engine.model.decisions.condition_text import ConditionTextError, condition_of_text
from flower_engine.model.decisions.condition_values import compared, equal
from flower_engine.model.decisions.condition_writing import text_of_condition
from flower_engine.model.decisions.conditions import (
    COMPARISONS,
    MAX_LEVELS,
    MAX_PARTS,
    MAX_VALUE_BYTES,
    MAX_VALUES,
    Decision,
    decided,
    problems_of_condition,
    with_params,
)
from flower_engine.model.parameters.reference_forms import KEYS
from flower_engine.model.parameters.references import NoValueError, escaped, scan

RESULTS: dict[str, Any] = {
    "total": {"bad": 3, "rows": 70.0, "note": None, "day": "2026-01-05", "tags": ["a", 1, True, [2]]},
    "7": "text",
    "wide": "x" * 5_000,
}


def read(name: str) -> Any:
    if name not in RESULTS:
        raise NoValueError(name)
    return RESULTS[name]


def test_a_condition_comes_to_true_or_false_and_says_what_it_saw() -> None:
    tree = condition_of_text("total.bad > 2 and not is_none(total.day) and total.rows == 70")
    assert decided(tree, read) == Decision(
        True, {"total.bad": 3, "optional(total.day)": "2026-01-05", "total.rows": 70.0}
    )


@pytest.mark.parametrize(
    ("text", "is_met"),
    [
        ("total.bad == 3", True),
        ("total.bad == 3.0", True),
        ("total.bad != 3", False),
        ("total.bad == '3'", False),
        ("total.bad == true", False),
        ("1 == True", False),
        ("0 < total.bad <= 3", True),
        ("0 < total.bad < 3", False),
        ("total.day >= '2026-01-05' and total.day < '2026-01-06'", True),
        ("total.bad in [1, 2, 3]", True),
        ("total.bad not in [1, 2, 3]", False),
        ("true in total.tags", True),
        ("0 in total.tags", False),
        ("[2] in total.tags", True),
        ("'01' in total.day", True),
        ("'bad' in total", True),
        ("'worse' in total", False),
        ("total.tags == ['a', 1, true, [2]]", True),
        ("total.tags == ['a', true, 1, [2]]", False),
        ("{'a': total.bad} == {'a': 3.0}", True),
        ("total.note", False),
        ("total.tags", True),
        ("not total.note", True),
        ("is_none(total.note)", True),
        ("total.note is None", True),
        ("total.note is not null", False),
        ("is_none(total.nothing)", True),
        ("some(gone)", False),
        ("some(total)", True),
        ("default(total.worse, 9) == 9", True),
        ("default(gone, 9) == 9", True),
        ("is_none(optional(gone.x))", True),
        ("either(gone, total.worse, total.bad) == 3", True),
        ("either(gone, gone.x, 8) == 8", True),
        ("either(gone, default(total.worse, 5)) == 5", True),
        ("either(default(gone.x, 5), total.bad) == 3", True),
        ("is_none(either(gone, total.worse))", True),
        ("task(7) == 'text'", True),
        ("text('{n} of {m}', n=total.bad, m=9) == '3 of 9'", True),
        ("false or true", True),
        ("total.bad > 2 or gone > 3", True),
        ("total.bad > 3 and gone > 3", False),
        ("(total.bad > 2) == (total.bad > 1)", True),
        ("literal({'$from': 'x'}) == {'$from': 'x'}", True),
        ("truthy(total.tags) == True", True),
        ("-3 < total.bad", True),
        ("total['bad'] == 3", True),
        ("total.tags[3][0] == 2", True),
        ("\n  total.bad == 3  # that many\n  or false\n", True),
    ],
)
def test_texts(text: str, is_met: bool) -> None:
    tree = condition_of_text(text)
    assert problems_of_condition(tree) == []
    assert decided(tree, read).is_met is is_met


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("total.bad > '2'", 'total.bad > "2": the number 3 does not compare with the text "2"'),
        ("total.note < 3", "total.note < 3: null does not compare with the number 3"),
        ("total.tags < 3", "a list of length 4 does not compare with the number 3"),
        ("total < total", "an object with bad, rows, note, day, tags does not compare"),
        ("true < 1", "the value true does not compare with the number 1"),
        ("true > false", "the value true does not compare with the value false"),
        ("3 in total.day", "the number 3 cannot be in a text"),
        ("3 in total", "the number 3 cannot be in an object"),
        ("'a' in total.bad", "nothing can be in the number 3"),
        ("not total.bad > null", "does not compare with null"),
    ],
)
def test_values_that_do_not_compare_are_named(text: str, said: str) -> None:
    with pytest.raises(ConditionError) as raised:
        decided(condition_of_text(text), read)
    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gone > 3", "the condition's gone is the result of task gone, which has none: it was passed over"),
        ("total.worse > 3", "'/worse' of the result of task total, where there is an object with"),
        ("some(needed(total.worse))", "'/worse' of the result of task total"),
        (
            "either(gone, total.worse) == 3",
            "the first that there is of: task gone has no result: it was passed over; '/worse' of the result"
            " of task total: there is an object with",
        ),
    ],
)
def test_values_that_are_missing_are_named(text: str, said: str) -> None:
    with pytest.raises(MissingInputError) as raised:
        decided(condition_of_text(text), read)
    assert said in str(raised.value)


def test_what_it_saw_is_cut_and_bounded() -> None:
    values = decided(condition_of_text("wide == 'x' or total.bad == 3"), read).values
    assert values["total.bad"] == 3
    assert values["wide"].startswith('"xxx')
    assert len(values["wide"]) <= MAX_VALUE_BYTES
    many = [
        "or",
        *(
            ["eq", {"$from": "total", "path": f"/tags/{index % 4}", "default": index}, 9]
            for index in range(200)
        ),
    ]
    assert len(decided(many, read).values) == MAX_VALUES


def test_what_was_not_needed_is_not_looked_at() -> None:
    assert decided(condition_of_text("total.bad == 3 or total.rows == 1"), read).values == {"total.bad": 3}


def test_parameters_of_the_flow_stay_data() -> None:
    tree = condition_of_text("total.bad in params.known and params.limit > total.bad")
    values = {"known": ["not", True], "limit": 3.5}
    bound = with_params(tree, values)
    assert not decided(bound, read).is_met
    assert text_of_condition(bound) == 'total.bad in literal(["not", True]) and 3.5 > total.bad'
    values = {**values, "known": [3]}
    assert decided(with_params(tree, values), read).is_met


@pytest.mark.parametrize(
    ("tree", "problem"),
    [
        (3, ": it is 3, where a condition stands"),
        ("total", ': it is "total", where a condition stands'),
        ([], ": it is an empty list, where a condition stands"),
        ({"$from": "x"}, ': it is a reference, where a condition stands; write ["truthy", {...}]'),
        (["gt", 1], ": it gives 'gt' 1 values; it takes 2"),
        (["and", True], ": it gives 'and' 1 conditions; it takes 2 or more"),
        (["not", True, True], ": it gives 'not' 2 conditions; it takes 1"),
        (["ggt", 1, 2], ': it begins with "ggt", which is none of and, or, not, eq'),
        ([[1], 2], ": it begins with [1], which is none of"),
        (["and", True, ["eq", 1, [2]]], "/2/2: it begins with 2, which is none of"),
        (["in", 1, ["list", 2]], '/2: it gives "list" something else than one list'),
        (["eq", {"$secret": "TOKEN"}, "x"], "/1: a condition tells what it saw, so it cannot hold secrets"),
        (["eq", ["list", [{"$secret": "TOKEN"}]], "x"], "/1/1/0: a condition tells what it saw"),
    ],
)
def test_what_is_no_condition_is_said_with_its_place(tree: Any, problem: str) -> None:
    assert problems_of_condition(tree)[0].startswith(problem)


def test_conditions_are_bounded() -> None:
    deep: Any = True
    for _ in range(MAX_LEVELS + 2):
        deep = ["not", deep]
    assert "nested deeper than" in problems_of_condition(deep)[0]
    wide = ["or", *([["truthy", 1]] * MAX_PARTS)]
    assert "more than" in problems_of_condition(wide)[-1]
    with pytest.raises(ConditionTextError, match="longer than"):
        condition_of_text("x or " * 2_000 + "x")
    with pytest.raises(ConditionTextError):
        condition_of_text("(" * 1_500 + "x" + ")" * 1_500)
    with pytest.raises(ConditionTextError):
        condition_of_text("[" * 1_500 + "]" * 1_500 + " == x")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no condition"),
        ("3", "holds 3 at character 1, which is no condition: compare it with something"),
        ("total.bad >", "is no condition: invalid syntax"),
        ("total.bad > > 3", "is no condition at character 13: invalid syntax"),
        ("a) or (b", "it is no single expression"),
        (
            "total.bad + 1 > 3",
            "holds total.bad + 1 at character 1, which is nothing that a condition may hold; it holds",
        ),
        ("len(total) > 3", "holds len(total) at character 1, which is nothing that"),
        ("total.f() > 3", "which is nothing that a condition may hold"),
        ("__import__('os').system('true')", "which is nothing that a condition may hold"),
        ("[x for x in y] == 3", "which is nothing that a condition may hold"),
        ("(lambda: 3) == 3", "which is nothing that a condition may hold"),
        ("f'{x}' == 'a'", "which is nothing that a condition may hold"),
        ("x[1:] == 3", "which is no task, or part of its result"),
        ("x[-1] == 3", "which is no task, or part of its result"),
        ("x[y] == 3", "which is no task, or part of its result"),
        ("params.x.y == 3", "which is one parameter of the flow as a whole"),
        ("params == 3", "which is one parameter of the flow as a whole"),
        ("x is 3", "which stands behind 'is', which asks for None only"),
        ("x == b'a'", "which is nothing that a condition may hold"),
        ("x == 3j", "which is nothing that a condition may hold"),
        ("x == 1e999", "which is no number that JSON has"),
        ("is_none(x, y)", "which gives is_none() 2 values; it takes 1"),
        ("either(x)", "which gives either() 1 values; it takes 2 to 20"),
        ("default(3, 4) == 4", "which is of a part of a result, or of either(...)"),
        ("optional(optional(x)) == 4", "which is of a part of a result"),
        ("task(true) == 3", "which is neither the name of a task nor a taskSeq"),
        ("x == {1: 2}", "which is no text, as keys of objects are"),
        ("x == {'$from': y}", "which is no JSON"),
        ("x == (y := 3)", "which is nothing that a condition may hold"),
        ("ä == 3", "which is no name of a task"),
        ("text(x) == 'a'", "which begins with the text"),
    ],
)
def test_texts_that_are_no_conditions(text: str, said: str) -> None:
    with pytest.raises(ConditionTextError) as raised:
        condition_of_text(text)
    assert said in str(raised.value)


Values = st.SearchStrategy[Any]
NAMES = st.sampled_from(["total", "gone", "in", "params", "null", "text", "x_1"])
CONSTANTS: Values = (
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(blacklist_categories=["Cs"]), max_size=6)
)
PLAIN: Values = st.recursive(
    CONSTANTS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["a", "b c", *sorted(KEYS)]) | st.text(max_size=3), inner, max_size=3
        )
    ),
    max_leaves=6,
)
STORABLE: Values = PLAIN.filter(lambda value: "\\ud" not in ascii(value))
PATHS = st.lists(
    st.sampled_from(["bad", "0", "12", "01", "a b", "", "x/y", "m~n", "class", "ä", "²"]), max_size=3
).map(lambda steps: "".join("/" + one.replace("~", "~0").replace("/", "~1") for one in steps))


@st.composite
def froms(draw: st.DrawFn, may_lack: bool = True) -> dict[str, Any]:
    form: dict[str, Any] = {"$from": draw(NAMES | st.integers(-5, 10**9))}
    if path := draw(PATHS):
        form["path"] = path
    kind = draw(st.sampled_from(["", "", "default", "optional"] if may_lack else ["", "default"]))
    if kind == "optional":
        form["optional"] = True
    if kind == "default":
        form["default"] = escaped(draw(STORABLE))
    return form


@st.composite
def eithers(draw: st.DrawFn) -> dict[str, Any]:
    choices = draw(st.lists(froms(may_lack=False), min_size=2, max_size=4))
    if draw(st.booleans()):
        choices[-1] = draw(CONSTANTS | STORABLE.map(lambda value: {"$literal": value}))
    return {"$either": choices, **draw(st.sampled_from([{}, {"optional": True}, {"default": 3}]))}


def params(name: str) -> Any:
    return {"$param": name}


def literal(value: Any) -> Any:
    return {"$literal": value}


def text_of(n: Any, c: Any) -> Any:
    return {"$text": "{n} {class}", "n": n, "class": c}


def listed(items: list[Any]) -> Any:
    return ["list", items]


def tree(*parts: Any) -> Any:
    return list(parts)


DATA: Values = (
    froms()
    | eithers()
    | st.builds(params, st.sampled_from(["day", "a b", "0", "class", "ä"]))
    | st.builds(literal, STORABLE)
    | st.builds(text_of, froms(), CONSTANTS)
    | CONSTANTS
    | STORABLE.filter(lambda value: isinstance(value, dict)).map(escaped)
)
PARTS: Values = DATA | st.builds(listed, st.lists(DATA | STORABLE.map(escaped), max_size=3))


def wider(inner: Values) -> Values:
    return (
        st.builds(tree, st.sampled_from(["and", "or"]), inner, inner)
        | st.builds(tree, st.just("or"), inner, inner, inner)
        | st.builds(tree, st.just("not"), inner)
        | st.builds(tree, st.just("eq"), inner, DATA)
        | st.builds(tree, st.just("is_none"), inner)
    )


CONDITIONS: Values = st.recursive(
    st.booleans()
    | st.builds(tree, st.sampled_from(COMPARISONS), PARTS, PARTS)
    | st.builds(tree, st.sampled_from(["is_none", "some", "truthy"]), PARTS),
    wider,
    max_leaves=6,
)


@given(CONDITIONS)
def test_the_text_of_a_tree_gives_that_tree(condition: Any) -> None:
    assert problems_of_condition(condition) == []
    text = text_of_condition(condition)
    assert same_json(condition_of_text(text), condition), text


@given(CONDITIONS, st.dictionaries(st.sampled_from(["total", "gone", "in", "0", "7"]), STORABLE))
def test_a_right_condition_comes_to_something_or_says_why_not(
    condition: Any, results: dict[str, Any]
) -> None:
    def own(name: str) -> Any:
        if name not in results:
            raise NoValueError(name)
        return results[name]

    bound = with_params(condition, {"day": ["and"], "a b": {"$from": "x"}, "0": 3})
    assert not scan(bound).params
    try:
        first = decided(bound, own)
    except (ConditionError, MissingInputError) as error:
        assert str(error)
        return
    assert decided(bound, own) == first
    assert decided(["not", bound], own).is_met is not first.is_met


@given(st.integers() | st.floats(allow_nan=False, allow_infinity=False), st.integers() | st.floats(-1e9, 1e9))
def test_numbers_compare_as_numbers(left: float, right: float) -> None:
    for head, sign in (("lt", operator.lt), ("le", operator.le), ("gt", operator.gt), ("ge", operator.ge)):
        assert compared(head, left, right) is sign(left, right)
    assert compared("eq", left, right) is (left == right)


@given(PLAIN, PLAIN)
def test_equal_is_the_same_for_both_sides_and_for_oneself(left: Any, right: Any) -> None:
    assert equal(left, left)
    assert equal(left, right) is equal(right, left)


@given(st.text(alphabet="ab.=<>()[]{}'\"0 orandntisliteralfault,:#\n\\", max_size=40))
def test_no_text_does_more_than_be_refused(text: str) -> None:
    try:
        tree = condition_of_text(text)
    except ConditionTextError:
        return
    if not problems_of_condition(tree):
        assert same_json(condition_of_text(text_of_condition(tree)), tree)


def same_json(one: Any, other: Any) -> bool:
    """With 1, 1.0 and true apart."""
    return repr(ordered(one)) == repr(ordered(other))


def ordered(value: Any) -> Any:
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        return {key: ordered(members[key]) for key in sorted(members)}
    return [ordered(item) for item in cast("list[Any]", value)] if isinstance(value, list) else value
