"""References in definitions: what reads as one, what is wrong with it, and what it comes to."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flower_engine.errors import MissingInputError, ParameterError
from flower_engine.model.parameters.reference_forms import KEYS, From
from flower_engine.model.parameters.references import (
    Found,
    NoValueError,
    Use,
    bound,
    escaped,
    holds_references,
    resolved,
    resolved_value,
    scan,
    scan_parameters,
)
from flower_engine.model.values.json_pointer import NotThereError, pointer_to, problem_of_pointer, value_at

RESULTS: dict[str, Any] = {
    "files": [{"name": "a.csv", "size": 12}, {"name": "b/c~d", "size": 3.5}],
    "7": None,
    "odd": {"$secret": "TOKEN", "": {"a/b": 1, "m~n": 2}},
}

PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
NAMES = (
    st.sampled_from(sorted(KEYS))
    | st.sampled_from(["path", "default", "optional", "n"])
    | st.text(max_size=4)
)
JSON: st.SearchStrategy[Any] = st.recursive(
    PLAIN | st.sampled_from(["files", "7", "odd", "/0", "{n}"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=12,
)
"""Values of which many read as references, right or wrong."""


def read(name: str) -> Any:
    if name not in RESULTS:
        raise NoValueError(name)
    return RESULTS[name]


def secret(name: str) -> str:
    return f"secret of {name}"


def no_secret(name: str) -> str:
    raise AssertionError(f"the secret {name} was asked for")


def no_result(name: str) -> Any:
    raise AssertionError(f"the result of {name} was read")


def value_of(reference: Any) -> Any:
    return resolved({"p": reference}, read, secret)["p"]


@pytest.mark.parametrize(
    ("reference", "value"),
    [
        ({"$from": "files"}, RESULTS["files"]),
        ({"$from": "files", "path": "/0/size"}, 12),
        ({"$from": "files", "path": "/1/name"}, "b/c~d"),
        ({"$from": 7}, None),
        ({"$from": "odd", "path": "//a~1b"}, 1),
        ({"$from": "odd", "path": "//m~0n"}, 2),
        ({"$from": "gone", "optional": True}, None),
        ({"$from": "gone", "default": [1, {"a": 2}]}, [1, {"a": 2}]),
        ({"$from": "files", "path": "/9", "default": 0}, 0),
        ({"$from": "files", "path": "/0", "optional": False}, {"name": "a.csv", "size": 12}),
        ({"$from": "gone", "default": {"$from": "files", "path": "/0/name"}}, "a.csv"),
        ({"$secret": "TOKEN"}, "secret of TOKEN"),
        ({"$literal": {"$from": "files"}}, {"$from": "files"}),
        ({"$literal": {"$literal": 1}}, {"$literal": 1}),
        ({"$text": "no values, {{but}} braces"}, "no values, {but} braces"),
        ({"$text": "{n} rows of {f}", "n": 3, "f": {"$from": "files", "path": "/0/name"}}, "3 rows of a.csv"),
        ({"$text": "{v}", "v": {"$from": "files", "path": "/0"}}, '{"name":"a.csv","size":12}'),
        ({"$text": "{v}{v}", "v": None}, "nullnull"),
        ({"list": [{"$from": "files", "path": "/1/size"}]}, {"list": [3.5]}),
        ({"$ref": "#/a", "$oid": 1}, {"$ref": "#/a", "$oid": 1}),
        ([], []),
        ("$from", "$from"),
    ],
)
def test_a_reference_comes_to_its_value(reference: Any, value: Any) -> None:
    assert scan(reference).problems == []
    assert value_of(reference) == value


def test_what_a_result_holds_is_never_looked_at() -> None:
    parameters = {"p": {"$from": "odd"}, "q": {"$text": "{a}", "a": {"$from": "odd", "path": "/$secret"}}}
    assert resolved(parameters, read, no_secret) == {"p": RESULTS["odd"], "q": "TOKEN"}


@pytest.mark.parametrize(
    ("reference", "sentence"),
    [
        ({"$from": "gone"}, "parameter 'p' is the result of task gone, which has none: it was passed over"),
        (
            {"$from": "files", "path": "/2/size"},
            "parameter 'p' is '/2/size' of the result of task files, where there is a list of length 2",
        ),
        (
            {"a": [{"$from": "files", "path": "/0/sise"}]},
            "parameter 'p' is '/0/sise' of the result of task files, where at '/0' there is an object with"
            " name, size",
        ),
        (
            {"$from": "files", "path": "/0/size/unit"},
            "parameter 'p' is '/0/size/unit' of the result of task files, where at '/0/size' there is the"
            " number 12",
        ),
        ({"$from": 7, "path": "/a"}, "parameter 'p' is '/a' of the result of task 7, where there is null"),
    ],
)
def test_a_value_that_is_missing_is_named_with_what_is_there(reference: Any, sentence: str) -> None:
    with pytest.raises(MissingInputError) as missing:
        value_of(reference)
    assert str(missing.value) == sentence
    assert missing.value.producer in ("gone", "files", "7")
    assert missing.value.path == (reference if "$from" in reference else reference["a"][0]).get("path", "")


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"$from": "a", "$param": "b"}, "it has $from and $param; a reference has one of these"),
        ({"$from": "a", "defualt": 1}, "it has 'defualt', which is nothing that goes with $from"),
        ({"$param": "a", "default": 1}, "it has 'default', which is nothing that goes with $param"),
        ({"$literal": 1, "x": 1}, "it has 'x', which is nothing that goes with $literal"),
        ({"$from": None}, "neither the name of a task nor a taskSeq"),
        ({"$from": True}, "neither the name of a task nor a taskSeq"),
        ({"$from": 1.5}, "neither the name of a task nor a taskSeq"),
        ({"$from": ["a"]}, "neither the name of a task nor a taskSeq"),
        ({"$from": "no name"}, "it has the $from 'no name', which is no name of a task"),
        ({"$from": "1"}, "it has the $from '1', which is no name of a task"),
        ({"$from": "a", "path": 0}, "it has a path that is no text"),
        ({"$from": "a", "path": "size"}, "it has the path 'size', which is no JSON Pointer"),
        ({"$from": "a", "path": "/a~2"}, "it has the path '/a~2', which is no JSON Pointer"),
        ({"$from": "a", "path": "/" + "a" * 2000}, "which is longer than 1024 characters"),
        ({"$from": "a", "optional": "yes"}, "it has an optional that is neither true nor false"),
        ({"$from": "a", "optional": True, "default": 1}, "it has optional and default"),
        ({"$param": 1}, "it has a $param that is no name"),
        ({"$param": ""}, "it has a $param that is no name"),
        ({"$slot": {}}, "it has a $slot that is no name"),
        ({"$secret": "a b"}, "it has a $secret that is no name of a secret"),
        ({"$secret": "../x"}, "it has a $secret that is no name of a secret"),
        ({"$secret": {"$param": "n"}}, "it has a $secret that is no name of a secret"),
        ({"$text": 1}, "it has a $text that is no text"),
        ({"$text": "{n}"}, "it has a $text with {n}, for which there is no value"),
        ({"$text": "", "n": 1}, "it has a value 'n' that its $text does not use"),
        ({"$text": "{n:,}", "n": 1}, "it has a $text with a lone '{'"),
        ({"$text": "}"}, "it has a $text with a lone '}'"),
        ({"$text": "{0}", "0": 1}, "it has a $text with a lone '{'"),
    ],
)
def test_what_is_nearly_a_reference_is_a_mistake(wrong: Any, problem: str) -> None:
    assert holds_references(wrong)
    found = scan(wrong)
    assert len(found.problems) == 1
    assert problem in found.problems[0]
    assert scan_parameters({"a/b": [1, wrong]}).problems == [f"/a~1b/1: {found.problems[0]}"]
    with pytest.raises(ParameterError, match="parameter 'p' holds an object that"):
        value_of(wrong)
    assert scan({"$literal": wrong}).problems == []


def test_everything_is_found_where_it_stands() -> None:
    found = scan_parameters(
        {
            "$from": "a parameter may have any name",
            "first": {"$from": "files", "path": "/0"},
            "more": [{"$from": 3, "default": {"$param": "day"}}, {"deep": {"$param": "day"}}],
            "title": {"$text": "{d} {s}", "d": {"$slot": "date"}, "s": {"$secret": "TOKEN"}},
            "kept": {"$literal": {"$from": "nobody"}},
        }
    )
    assert found == Found(
        uses=[
            Use("/first", From("files", "/0")),
            Use("/more/0", From(3, default={"$param": "day"})),
        ],
        params={"day": ["/more/0/default", "/more/1/deep"]},
        slots={"date": ["/title/d"]},
        secrets={"TOKEN": ["/title/s"]},
        is_plain=False,
    )
    assert [use.form.is_needed for use in found.uses] == [True, False]
    assert found.waits


def test_a_value_without_references_is_plain() -> None:
    found = scan_parameters({"a": 1, "$param": "x", "b": [{"c": {"$ref": 1}}]})
    assert found.is_plain
    assert not found.waits
    assert not scan({"$text": "literal"}).is_plain
    assert not scan({"$text": "literal"}).waits


def test_what_is_nested_endlessly_is_a_problem_and_no_crash() -> None:
    value: Any = 1
    for _ in range(50_000):
        value = [value]
    assert not holds_references(value)
    assert escaped(value) is value
    (problem,) = scan(value).problems
    assert problem.endswith("it is nested too deeply")


def test_parameters_of_the_flow_are_bound() -> None:
    parameters = {
        "day": {"$param": "day"},
        "list": [{"$param": "n"}, {"$from": "files", "path": "/0", "default": {"$param": "n"}}],
        "title": {"$text": "{d}: {f}", "d": {"$param": "day"}, "f": {"$from": "files", "path": "/0/name"}},
        "missing": {"$param": "nobody gave it"},
        "kept": {"$literal": {"$param": "day"}},
        "token": {"$param": "token"},
        "other": {"$slot": "date"},
    }
    now = bound(parameters, {"day": "2026-01-05", "n": {"$from": "files"}, "token": "PROD"}, {"token"})
    assert now == {
        "day": "2026-01-05",
        "list": [
            {"$literal": {"$from": "files"}},
            {"$from": "files", "path": "/0", "default": {"$literal": {"$from": "files"}}},
        ],
        "title": {"$text": "{d}: {f}", "d": "2026-01-05", "f": {"$from": "files", "path": "/0/name"}},
        "missing": None,
        "kept": {"$literal": {"$param": "day"}},
        "token": {"$secret": "PROD"},
        "other": {"$slot": "date"},
    }
    del now["other"]
    assert resolved(now, read, secret) == {
        "day": "2026-01-05",
        "list": [{"$from": "files"}, RESULTS["files"][0]],
        "title": "2026-01-05: a.csv",
        "missing": None,
        "kept": {"$param": "day"},
        "token": "secret of PROD",
    }


@pytest.mark.parametrize("unbound", [{"$param": "day"}, {"$slot": "date"}])
def test_what_was_never_bound_is_refused(unbound: Mapping[str, Any]) -> None:
    with pytest.raises(ParameterError, match="which nothing was bound to"):
        value_of(unbound)


@given(JSON)
def test_an_escaped_value_stays_what_it_is(value: Any) -> None:
    assert resolved_value(escaped(value), no_result, no_secret, "it") == value
    assert scan(escaped(value)).problems == []
    assert not scan(escaped(value)).waits


@given(JSON, JSON)
def test_what_is_bound_never_becomes_a_reference(one: Any, other: Any) -> None:
    parameters = {
        "a": {"$param": "one"},
        "b": [{"x": {"$param": "other"}}, {"$literal": {"$param": "one"}}],
        "c": {"$from": "gone", "default": {"$param": "one"}},
        "d": {"$text": "{t}", "t": {"$param": "other"}},
    }
    now = bound(parameters, {"one": one, "other": other})
    found = scan_parameters(now)
    assert found.problems == []
    assert [use.form.name for use in found.uses] == ["gone"]
    assert not found.params
    assert not found.secrets
    came = resolved(now, read, no_secret)
    assert came["a"] == came["c"] == one
    assert came["b"] == [{"x": other}, {"$param": "one"}]
    assert isinstance(came["d"], str)


@given(JSON)
def test_whatever_stands_in_a_definition_is_found_or_plain(value: Any) -> None:
    found = scan(value)
    assert found.is_plain == (not holds_references(value))
    if found.is_plain:
        assert resolved_value(value, no_result, no_secret, "it") == value
        return
    try:
        resolved_value(value, read, secret, "it")
    except MissingInputError as error:
        assert error.producer in {use.form.name for use in found.uses}
    except ParameterError:
        assert found.problems or found.params or found.slots


@given(st.lists(st.text(max_size=5) | st.integers(min_value=0, max_value=3), max_size=4))
def test_a_pointer_leads_where_it_was_made_for(steps: list[str | int]) -> None:
    value: Any = "here"
    for step in reversed(steps):
        value = [*(["other"] * step), value] if isinstance(step, int) else {step: value, f"{step}x": 1}
    assert problem_of_pointer(pointer_to(*steps)) == ""
    assert value_at(value, pointer_to(*steps)) == "here"


@pytest.mark.parametrize("pointer", ["/-", "/01", "/1", "/-1", "/0/0", "/ 0", "/9" * 400, "/" + "9" * 1000])
def test_a_pointer_that_leads_nowhere_is_told(pointer: str) -> None:
    with pytest.raises(NotThereError, match="there is"):
        value_at([1], pointer)
