"""Conditions as text: ``total.bad > 50 and not is_none(total.note)``.

It is Python's syntax, of which a short list is read and nothing is run. Names are tasks, and stand for their
results; ``params.day`` is a parameter of the flow. ``condition_of_text`` makes the tree of ``conditions.py``;
``condition_writing.py`` has the text of a tree.

======================================================  ====================================================
``total.bad``, ``files[0].size``, ``row["a b"]``        a part of a task's result
``task(3).bad``, ``task("in")``                         of a task without a name, or whose name is a word here
``==`` ``!=`` ``<`` ``<=`` ``>`` ``>=`` ``in``          ``not in``, and chains as ``0 < total.bad < 5``
``and`` ``or`` ``not``                                  a value that stands alone is ``truthy`` of it
``is_none(a)``, ``some(a)``, ``truthy(a)``              the first two do without a result: ``needed(a)`` not
``either(a, b)``                                        the first that there is
``default(a, 0)``, ``optional(a)``                      a part that need not be there
``text("{n} rows", n=a)``                               a text with values in it
``literal(...)``                                        JSON as it stands
======================================================  ====================================================

``null``, ``true`` and ``false`` are written as in Python or as in JSON.
"""

import ast
import warnings
from collections.abc import Callable
from typing import Any, cast

from flower_engine.errors import FlowerError
from flower_engine.model.decisions.condition_writing import CONSTANTS, FLOW, READING
from flower_engine.model.parameters.reference_forms import KEYS, is_task_name
from flower_engine.model.parameters.references import escaped, holds_references
from flower_engine.model.values.json_pointer import pointer_to
from flower_engine.model.values.quoting import short
from flower_engine.model.values.syntax_trees import expression_tree

MAX_TEXT = 4_000  # characters

_SIGNS: dict[type, str] = {
    **{ast.Eq: "eq", ast.NotEq: "ne", ast.Lt: "lt", ast.LtE: "le", ast.Gt: "gt", ast.GtE: "ge", ast.In: "in"}
}
_ASKS = ("is_none", "some", "truthy")
_MAY_HOLD = (
    "it holds comparisons (== != < <= > >= in), and, or, not, parts of tasks (total.bad) and of params, JSON"
    " values, is_none, some, truthy, either, default, text, task; what else there is to compute programs do"
)


class ConditionTextError(FlowerError):
    """A text is no condition; the message is the end of a sentence that begins with it."""


def condition_of_text(text: str) -> list[Any] | bool:
    """The tree that a text says.

    Raises:
        ConditionTextError: it is none; says what, and where.
    """
    if len(text) > MAX_TEXT:
        raise ConditionTextError(f"is longer than {MAX_TEXT} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of "3 is None", which is refused below
            tree = expression_tree(f"({text}\n)")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        at = error.offset if isinstance(error, SyntaxError) and error.lineno == 1 else None
        where = f" at character {at - 1}" if at is not None and at > 1 else ""
        what = error.msg if isinstance(error, SyntaxError) else "it cannot be taken apart"
        raise ConditionTextError(f"is no condition{where}: {what}") from None
    if tree.lineno == 1 and tree.col_offset == 0:  # "a) or (b", or nothing at all
        raise ConditionTextError("is no condition: it is no single expression")
    try:
        return _condition(tree)
    except RecursionError:
        raise ConditionTextError("is nested too deeply") from None


def _condition(node: ast.expr) -> Any:
    match node:
        case ast.BoolOp(op=operator, values=values):
            return ["and" if isinstance(operator, ast.And) else "or", *map(_condition, values)]
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return ["not", _condition(operand)]
        case ast.Compare():
            return _comparison(node)
        case ast.Call(func=ast.Name(id=name)) if name in _ASKS:
            return _ask(name, node)
        case ast.Constant(value=bool() as value):
            return value
        case ast.Name(id="true" | "false" as word):
            return CONSTANTS[word]
        case _:
            value = _value(node)
            if not isinstance(value, dict) or not holds_references(value):
                raise _refusal(node, "is no condition: compare it with something")
            return ["truthy", value]


def _comparison(node: ast.Compare) -> Any:
    sides = [node.left, *node.comparators]
    found = [_pair(op, left, right) for op, left, right in zip(node.ops, sides, sides[1:], strict=False)]
    return found[0] if len(found) == 1 else ["and", *found]


def _pair(operator: ast.cmpop, left: ast.expr, right: ast.expr) -> Any:
    if isinstance(operator, ast.Is | ast.IsNot):
        if not _is_constant(right) or _constant(right) is not None:
            raise _refusal(right, "stands behind 'is', which asks for None only: write ==")
        return ["is_none" if isinstance(operator, ast.Is) else "some", _may_lack(_value(left))]
    if isinstance(operator, ast.NotIn):
        return ["not", ["in", _value(left), _value(right)]]
    return [_SIGNS[type(operator)], _value(left), _value(right)]


def _ask(name: str, node: ast.Call) -> Any:
    asked = _arguments(node, 1)[0]
    match asked:
        case ast.Call(func=ast.Name(id="needed")) if name != "truthy":
            return [name, _value(_arguments(asked, 1)[0])]
        case _:
            value = _value(asked)
            return [name, value if name == "truthy" else _may_lack(value)]


def _may_lack(value: Any) -> Any:
    """What it asks for need not be there."""
    members = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    is_needed = not READING.isdisjoint(members) and members.keys() <= {"$from", "path", "$either"}
    return {**members, "optional": True} if is_needed else cast("Any", value)


def _value(node: ast.expr) -> Any:
    """A value as it stands in a tree."""
    match node:
        case ast.BoolOp() | ast.Compare() | ast.UnaryOp(op=ast.Not()):
            return _condition(node)
        case ast.Call(func=ast.Name(id=name)) if name in _ASKS:
            return _ask(name, node)
        case ast.List():
            return ["list", _data(node)]
        case _:
            return _data(node)


def _data(node: ast.expr) -> Any:
    """JSON in which references may stand."""
    if _is_constant(node):
        return _constant(node)
    match node:
        case ast.List(elts=items):
            return [_data(item) for item in items]
        case ast.Dict(keys=keys, values=values):
            if any(_key(key) in KEYS for key in keys):
                return escaped(_plain(node))
            return {_key(key): _data(value) for key, value in zip(keys, values, strict=True)}
        case ast.Name() | ast.Attribute() | ast.Subscript():
            return _reference(node, ())
        case ast.Call(func=ast.Name(id=name)) if name in _FORMS:
            return _FORMS[name](node)
        case _:
            raise _refusal(node, f"is nothing that a condition may hold; {_MAY_HOLD}")


def _plain(node: ast.expr | None) -> Any:
    """JSON without references."""
    if node is not None and _is_constant(node):
        return _constant(node)
    match node:
        case ast.List(elts=items):
            return [_plain(item) for item in items]
        case ast.Dict(keys=keys, values=values):
            return {_key(key): _plain(value) for key, value in zip(keys, values, strict=True)}
        case _:
            raise _refusal(node, "is no JSON, which must stand here as it is")


def _key(node: ast.expr | None) -> str:
    if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
        raise _refusal(node, "is no text, as keys of objects are")
    return node.value


def _is_constant(node: ast.expr) -> bool:
    match node:
        case (
            ast.Constant(value=None | bool() | int() | float() | str())
            | ast.Name(id="null" | "true" | "false")
        ):
            return True
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
            return not isinstance(number, bool)
        case _:
            return False


def _constant(node: ast.expr) -> Any:
    match node:
        case ast.Name(id=word):
            return CONSTANTS.get(word)
        case ast.UnaryOp(operand=ast.Constant(value=int() | float() as number)):
            return -_finite(node, number)
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return _finite(node, number)
        case ast.Constant(value=value):
            return value
        case _:
            raise AssertionError(ast.dump(node))  # _is_constant says which are


def _finite(node: ast.expr, number: float) -> float:
    if number - number != 0:
        raise _refusal(node, "is no number that JSON has")
    return number


def _reference(node: ast.expr, steps: tuple[str | int, ...]) -> dict[str, Any]:
    match node:
        case ast.Attribute(value=inner, attr=name):
            return _reference(inner, (name, *steps))
        case ast.Subscript(value=inner, slice=ast.Constant(value=str() | int() as key)) if not isinstance(
            key, bool
        ):
            return _reference(inner, (key, *steps))
        case ast.Name(id=name) if name == FLOW:
            if len(steps) != 1:
                raise _refusal(node, f"is one parameter of the flow as a whole: {FLOW}.day")
            return {"$param": str(steps[0])}
        case ast.Name(id=name) if name not in CONSTANTS:
            return _from(node, name, steps)
        case ast.Call(func=ast.Name(id="task")):
            task = _arguments(node, 1)[0]
            named = _constant(task) if _is_constant(task) else None
            if isinstance(named, bool) or not isinstance(named, int | str):
                raise _refusal(task, "is neither the name of a task nor a taskSeq")
            return _from(node, named, steps)
        case _:
            raise _refusal(node, "is no task, or part of its result by name or by number from the front")


def _from(node: ast.expr, producer: str | int, steps: tuple[str | int, ...]) -> dict[str, Any]:
    if isinstance(producer, str) and not is_task_name(producer):
        raise _refusal(node, "is no name of a task")
    return {"$from": producer, "path": pointer_to(*steps)} if steps else {"$from": producer}


def _either(node: ast.Call) -> Any:
    return {"$either": [_data(one) for one in _arguments(node, 2, most=20)]}


def _optional(node: ast.Call) -> Any:
    return {**_bare(node, _arguments(node, 1)[0]), "optional": True}


def _default(node: ast.Call) -> Any:
    reference, default = _arguments(node, 2)
    return {**_bare(node, reference), "default": _data(default)}


def _bare(node: ast.Call, reference: ast.expr) -> Any:
    form = _data(reference)
    if (
        not isinstance(form, dict)
        or "optional" in form
        or "default" in form
        or READING.isdisjoint(cast("dict[str, Any]", form))
    ):
        raise _refusal(node, "is of a part of a result, or of either(...)")
    return cast("dict[str, Any]", form)


def _text(node: ast.Call) -> Any:
    template = node.args[0] if len(node.args) == 1 else None
    if not isinstance(template, ast.Constant) or not isinstance(template.value, str):
        raise _refusal(node, "begins with the text, and has its values by name")
    found: dict[str, Any] = {"$text": template.value}
    for given in node.keywords:
        if given.arg is not None:
            found[given.arg] = _data(given.value)
        elif isinstance(given.value, ast.Dict):
            for key, value in zip(given.value.keys, given.value.values, strict=True):
                found[_key(key)] = _data(value)
        else:
            raise _refusal(node, "begins with the text, and has its values by name")
    return found


def _literal(node: ast.Call) -> Any:
    return {"$literal": _plain(_arguments(node, 1)[0])}


_FORMS: dict[str, Callable[[ast.Call], Any]] = {
    "either": _either,
    "default": _default,
    "optional": _optional,
    "text": _text,
    "literal": _literal,
    "task": lambda node: _reference(node, ()),
}


def _arguments(node: ast.Call, count: int, *, most: int | None = None) -> list[ast.expr]:
    if node.keywords or not count <= len(node.args) <= (most or count):
        name = cast("ast.Name", node.func).id
        wanted = f"{count} to {most}" if most else str(count)
        raise _refusal(
            node, f"gives {name}() {len(node.args) + len(node.keywords)} values; it takes {wanted}"
        )
    return node.args


def _refusal(node: ast.expr | None, what: str) -> ConditionTextError:
    if node is None:
        return ConditionTextError(f"holds something that {what}")
    shown = short(ast.unparse(node))
    at = f" at character {node.col_offset}" if node.lineno == 1 else ""
    return ConditionTextError(f"holds {shown}{at}, which {what}")
