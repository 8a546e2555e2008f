"""What a body may not do with a reference is refused where it is written, with the way to write it."""

import copy
import inspect
import json
import pickle
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from authoring import sample
from authoring.sample import anything, count, list_files, make_pair, make_point
from flower_engine import DefinitionError, Ref, workflow
from flower_engine.authoring.ref_rules import RULES

REFUSED: list[tuple[Callable[[], Any], str]] = []
Body = Callable[[], Any]


def refused(what: str) -> Callable[[Body], Body]:
    """A body that does one thing that is refused, in the line that says so."""

    def keep(body: Body) -> Body:
        REFUSED.append((body, what))
        return body

    return keep


@refused("asks whether x is true (if")
def asks_if() -> None:
    x = anything.step()
    if x:  # here
        anything.step()


@refused("asks whether x.bad is true")
def negates() -> Any:
    x = anything.step()
    return not x.bad  # here


@refused("asks whether x is true")
def joins_with_and() -> Any:
    x = anything.step()
    return x and 1  # here


@refused("asks whether x['bad'] is true")
def asserts() -> None:
    x = anything.step()
    assert x["bad"]  # here


@refused("asks whether x.bad > 50 is true")
def decides() -> None:
    x = anything.step()
    if x.bad > 50:  # here
        anything.step()


@refused("asks whether x.bad > 0 is true")
def chains() -> Any:
    x = anything.step()
    return 0 < x.bad < 50  # here


@refused("asks whether x == 1 is true")
def asserts_equal() -> None:
    x = anything.step()
    assert x == 1  # here


@refused("asks whether x == 1 is true")
def looks_in_a_list() -> Any:
    x = anything.step()
    return x in [1, 2]  # here


@refused("looks for something in x (in)")
def looks_in_it() -> Any:
    x = anything.step()
    return 1 in x  # here


@refused("goes through x (for")
def goes_through() -> None:
    x = anything.step()
    for one in x:  # here
        anything.step(one)


@refused("goes through x (for")
def unpacks() -> Any:
    x = anything.step()
    first, second = x  # here
    return [first, second]


@refused("goes through x (reversed())")
def reverses() -> Any:
    x = anything.step()
    return reversed(x)  # here


@refused("asks how long x is (len())")
def measures() -> Any:
    x = anything.step()
    return len(x)  # here


@refused("computes with x (+)")
def adds() -> Any:
    x = anything.step()
    return x + 1  # here


@refused("computes with x (-)")
def subtracts_from() -> Any:
    x = anything.step()
    return 10 - x  # here


@refused("computes with x (*)")
def multiplies_in_place() -> Any:
    x = anything.step()
    x *= 2  # here
    return x


@refused("computes with x (%)")
def formats_with_percent() -> Any:
    x = anything.step()
    return x % 2  # here


@refused("computes with x (|)")
def joins_with_bars() -> Any:
    x = anything.step()
    return x | 1  # here


@refused("makes a value of x (-)")
def negative() -> Any:
    x = anything.step()
    return -x  # here


@refused("makes a value of x (int())")
def to_int() -> Any:
    x = anything.step()
    return int(x)  # here


@refused("makes a value of x (round())")
def rounds() -> Any:
    x = anything.step()
    return round(x, 2)  # here


@refused("makes a value of x (an index")
def indexes_by() -> Any:
    x = anything.step()
    return [1, 2][x]  # here # pyright: ignore[reportUnknownVariableType]


@refused("makes a text of x (str()")
def to_text() -> Any:
    x = anything.step()
    return str(x)  # here


@refused("puts x.rows into a text (f-string")
def f_string() -> Any:
    x = anything.step()
    return f"{x.rows} rows"  # here


@refused("puts x into a text (f-string")
def f_string_of_repr() -> Any:
    x = anything.step()
    return f"{x!r} rows"  # here


@refused("makes a text of x")
def formats_as_text() -> Any:
    x = anything.step()
    return "%s" % x  # here # noqa: UP031


@refused("calls x.upper")
def calls_a_method() -> Any:
    x = anything.step()
    return x.upper()  # here


@refused("uses x as a key of a dict")
def keys() -> Any:
    x = anything.step()
    return {x: 1}  # here


@refused("sets an attribute of x")
def sets_an_attribute() -> None:
    x = anything.step()
    x.rows = 1  # here


@refused("deletes an attribute of x")
def deletes_an_attribute() -> None:
    x = anything.step()
    del x.rows  # here


@refused("sets an item of x")
def sets_an_item() -> None:
    x = anything.step()
    x["rows"] = 1  # here


@refused("deletes an item of x")
def deletes_an_item() -> None:
    x = anything.step()
    del x[0]  # here


@refused("enters x (with)")
def enters() -> None:
    x = anything.step()
    with x:  # here
        ...


@refused("takes an item of x by other")
def indexes_by_a_reference() -> Any:
    x = anything.step()
    other = anything.step()
    return x[other]  # here


@refused("takes a slice of x")
def slices() -> Any:
    x = anything.step()
    return x[1:]  # here


@refused("items are counted from the front")
def counts_from_the_end() -> Any:
    x = anything.step()
    return x[-1]  # here


@refused("takes x[1.5]")
def indexes_by_a_float() -> Any:
    x = anything.step()
    return x[1.5]  # here


@refused("copies x")
def copies() -> Any:
    x = anything.step()
    return copy.deepcopy(x)  # here


@refused("pickles x")
def pickles() -> Any:
    x = anything.step()
    return pickle.dumps(x)  # here


@refused("awaits x")
def awaits() -> Any:
    x = anything.step()

    async def inner() -> Any:
        return await x  # here

    return inner().send(None)


@refused("asks what x is (is)")
def compares_with_none() -> Any:
    x = anything.step()
    return 1 if x is None else 2  # here


@refused("asks what y is (is not)")
def compares_an_alias() -> Any:
    x = anything.step()
    y = x.rows
    return 1 if None is not y else 2  # here


@refused("asks what x is (isinstance())")
def asks_for_its_class() -> Any:
    x = anything.step()
    return isinstance(x, int)  # here


@refused("asks what x[0] is (type())")
def asks_for_its_type() -> Any:
    x = anything.step()
    return type(x[0])  # here # pyright: ignore[reportUnknownVariableType]


@refused("asks what x is (match)")
def matches() -> Any:
    x = anything.step()
    match x:  # here
        case None:
            return 1
        case _:
            return 2


@refused("asks what one is (is)")
def asks_in_a_list() -> Any:
    x = anything.step()
    return [one is None for one in [x, x.rows]]  # here


@refused("calls the program anything")
def calls_a_program() -> Any:
    x = anything.step()
    return anything(x)  # here


@refused("calls the program sample.anything")
def calls_a_program_of_a_module() -> Any:
    x = anything.step()
    return sample.anything(x)  # here


@refused("takes a reference for a value (sequence item 0: expected str instance, Ref found)")
def joins_texts() -> Any:
    x = anything.step()
    return ", ".join([x])  # here


@refused("takes a reference for a value (Object of type Ref is not JSON serializable)")
def dumps_json() -> Any:
    x = anything.step()
    return json.dumps({"x": x})  # here


def place_of(body: Callable[..., Any]) -> str:
    """File and line of the comment that marks what is refused."""
    lines, first = inspect.getsourcelines(body)
    (line,) = [number for number, text in enumerate(lines, first) if "# here" in text]
    return f"{inspect.getsourcefile(body)}:{line}: it "


@pytest.mark.parametrize(("body", "what"), REFUSED, ids=[body.__name__ for body, _ in REFUSED])
def test_it_is_refused_with_file_and_line(body: Body, what: str) -> None:
    with pytest.raises(DefinitionError) as error:
        workflow("refusing")(body).document()
    assert error.value.workflow == "refusing"
    (problem,) = error.value.problems
    assert problem.startswith(place_of(body))
    assert what in problem
    assert "; " in problem  # and how to write it


def test_every_special_method_that_asks_for_a_value_has_its_rule() -> None:
    """Those of Python's number, sequence and text types."""
    others = {"__new__", "__init__", "__getattribute__", "__getattr__", "__repr__", "__sizeof__", "__dir__"}
    others |= {
        "__class__",
        "__doc__",
        "__init_subclass__",
        "__subclasshook__",
        "__getnewargs__",
        "__reduce__",
    }
    others |= {
        "__getstate__",
        "__getitem__",
        "__class_getitem__",
        "__add__",
        "__getformat__",
        "__set_format__",
    }
    asked = {name for kind in (int, float, complex, str, list, dict, tuple, object) for name in dir(kind)}
    special = {name for name in asked if name.startswith("__")} - others
    in_place = {name for name in special if name.startswith("__i") and f"__{name[3:]}" in RULES}
    assert special - in_place - set(RULES) == set()


def test_what_a_type_has_not_is_refused_with_what_it_has() -> None:
    @workflow
    def wrong_field(day: date) -> None:
        files = list_files.step(day)
        count.step(files[0].siz)  # pyright: ignore

    with pytest.raises(
        DefinitionError, match=r"takes files\[0\].siz; File has no field 'siz'; nearest: size"
    ):
        wrong_field.document()


def test_names_that_begin_with_an_underscore_are_no_fields() -> None:
    @workflow
    def probes() -> None:
        x = anything.step()
        assert not hasattr(x, "_private")
        assert not hasattr(x, "__array__")
        assert repr(x) == "<Ref x>"
        assert isinstance_of_ref(x)

    probes.document()


def isinstance_of_ref(x: Any) -> bool:
    return isinstance(x, Ref)


def test_a_tuple_of_a_known_length_can_be_unpacked() -> None:
    @workflow
    def unpacks() -> Any:
        total, name = make_pair.step()
        return {"bad": total.bad, "name": name}

    assert unpacks.document()["returns"] == {
        "bad": {"$from": "Sample_pair", "path": "/0/bad"},
        "name": {"$from": "Sample_pair", "path": "/1"},
    }


def test_a_parameter_is_handed_on_whole() -> None:
    @workflow
    def parts(options: sample.Options) -> None:
        anything.step(options["depth"])

    with pytest.raises(DefinitionError, match="a parameter of its own"):
        parts.document()


def test_a_reference_belongs_to_one_workflow() -> None:
    kept: list[Any] = []

    @workflow
    def keeps() -> None:
        kept.append(make_point.step())

    @workflow
    def takes() -> None:
        anything.step(kept[0])

    keeps.document()
    with pytest.raises(DefinitionError, match="belongs to workflow 'keeps'"):
        takes.document()
