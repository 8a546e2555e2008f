"""What a reference refuses: each special method that would need its value, and how to write it instead.

The same sentences serve for what only the source shows (``source_check.py``).
"""

from typing import NamedTuple


class Rule(NamedTuple):
    """``what``: what the code does with ``{ref}``; ``way``: how to write it."""

    what: str
    way: str


_COMPUTE = "compute inside a program, which gets the value"
_COMPARE = "write is_in(...), which is a condition for with when(...), or compare inside a program"
_DECIDE = (
    "the body of a workflow runs once, before there are values: write with when(...) around the steps that"
    " depend on it. What is known when the workflow is defined may be tested as ever"
)
_IDENTITY = (
    "the body of a workflow runs once, before there are values: is_none({ref}) and some({ref}) are conditions"
    " for with when(...); what else a value is, a program decides"
)
_WHOLE = "give the whole to a program, which goes through it; take single items by number: [0]"
_EACH = (
    "run a program for each with program.map(...), or give the whole to one; take single items by number: [0]"
)
_TEXT = 'write text("{x} rows", x=...) for a text with values in it'
_KEEP = "write it as an argument of a step: references stand in arguments, also inside lists and dicts"

_ARITHMETIC = {
    **{"add": "+", "sub": "-", "mul": "*", "matmul": "@", "truediv": "/", "floordiv": "//", "mod": "%"},
    **{"pow": "**", "lshift": "<<", "rshift": ">>", "xor": "^", "divmod": "divmod()"},
}
_UNARY = {
    **{"neg": "-", "pos": "+", "invert": "~", "abs": "abs()", "round": "round()", "trunc": "int()"},
    **{"floor": "floor()", "ceil": "ceil()", "int": "int()", "float": "float()", "complex": "complex()"},
    **{"index": "an index, range() or hex()", "bytes": "bytes()", "fspath": "a path"},
}
_LOGIC = {"and": "&", "or": "|"}
_BITS = "compute inside a program, which gets the value. Conditions stand in parentheses: (a > 3) & (b == 5)"
SIGNS = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
"""Comparisons, which make conditions."""

USED_AS_VALUE = Rule("takes a reference for a value ({ref})", _COMPUTE)
IDENTITY = Rule("asks what {ref} is ({how})", _IDENTITY)
PROGRAM_CALL = Rule(
    "calls the program {ref}, which would run now, while the workflow is defined",
    "write {ref}.step(...) to make a task of it",
)

RULES: dict[str, Rule] = {
    **{
        f"__{name}__": Rule(f"computes with {{ref}} ({sign})", _COMPUTE) for name, sign in _ARITHMETIC.items()
    },
    **{
        f"__r{name}__": Rule(f"computes with {{ref}} ({sign})", _COMPUTE)
        for name, sign in _ARITHMETIC.items()
    },
    **{f"__{name}__": Rule(f"makes a value of {{ref}} ({sign})", _COMPUTE) for name, sign in _UNARY.items()},
    **{
        f"__{side}{name}__": Rule(f"computes with {{ref}} ({sign})", _BITS)
        for name, sign in _LOGIC.items()
        for side in ("", "r")
    },
    **{f"__{name}__": Rule(f"compares {{ref}} ({sign})", _COMPARE) for name, sign in SIGNS.items()},
    "__bool__": Rule("asks whether {ref} is true (if, while, and, or, not, assert)", _DECIDE),
    "__iter__": Rule("goes through {ref} (for, unpacking, list(), sorted()...)", _EACH),
    "__reversed__": Rule("goes through {ref} (reversed())", _WHOLE),
    "__next__": Rule("goes through {ref} (next())", _WHOLE),
    "__len__": Rule("asks how long {ref} is (len())", _COMPUTE),
    "__contains__": Rule("looks for something in {ref} (in)", _COMPARE),
    "__hash__": Rule("uses {ref} as a key of a dict or an item of a set", _KEEP),
    "__str__": Rule("makes a text of {ref} (str(), print())", _TEXT),
    "__format__": Rule("puts {ref} into a text (f-string or format())", _TEXT),
    "__call__": Rule("calls {ref}", "methods of a value are for programs to call, which get the value"),
    "__await__": Rule(
        "awaits {ref}", "the body of a workflow is a plain def: .step(...) gives the reference at once"
    ),
    "__aiter__": Rule("goes through {ref} (async for)", _WHOLE),
    "__enter__": Rule("enters {ref} (with)", _COMPUTE),
    "__exit__": Rule("enters {ref} (with)", _COMPUTE),
    "__aexit__": Rule("enters {ref} (async with)", _COMPUTE),
    "__aenter__": Rule("enters {ref} (async with)", _COMPUTE),
    "__setattr__": Rule(
        "sets an attribute of {ref}", "results do not change: a program returns another value"
    ),
    "__delattr__": Rule(
        "deletes an attribute of {ref}", "results do not change: a program returns another value"
    ),
    "__setitem__": Rule("sets an item of {ref}", "results do not change: a program returns another value"),
    "__delitem__": Rule("deletes an item of {ref}", "results do not change: a program returns another value"),
    "__copy__": Rule("copies {ref}", "give the reference itself; each program gets a value of its own"),
    "__deepcopy__": Rule("copies {ref}", "give the reference itself; each program gets a value of its own"),
    "__reduce_ex__": Rule("pickles {ref}", _KEEP),
}

CONDITION_AS_VALUE: dict[str, Rule] = {
    "__bool__": Rule(
        "asks whether {ref} is true (if, while, and, or, not, assert, a chain as 0 < x < 5)",
        "write with when(...) around the steps that depend on it, and combine conditions with &, | and"
        " not_()",
    ),
    "__invert__": Rule("writes ~ for not ({ref})", "write not_(...)"),
}
"""What a condition refuses otherwise than a reference does."""
