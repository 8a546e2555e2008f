"""What the body of a workflow does that Python lets no class intercept, found in its source.

``x is None``, ``isinstance(x, ...)``, ``type(x)``, ``match x``, ``f"{x!r}"``, and calls of programs, which
would run at once. One pass over the function follows names: parameters, and what steps are assigned to.
"""

import ast
import builtins
import inspect
from collections.abc import Callable, Iterator, Mapping
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

from flower_engine.authoring.ref_rules import IDENTITY, PROGRAM_CALL, RULES, Rule
from flower_engine.authoring.source_text import source_of
from flower_engine.model.values.syntax_trees import module_tree
from flower_engine.programs.steps import steps_of

_ASKING = {
    "isinstance": "isinstance()",
    "type": "type()",
    "issubclass": "issubclass()",
    "callable": "callable()",
}
_MAKERS = ("text", "secret", "either")
_NOWHERE: Any = object()
_REPR = (ord("r"), ord("a"))


class Finding(NamedTuple):
    """Something that cannot be in a body; ``problem`` is a sentence with file and line."""

    line: int
    problem: str


def check_source(function: Callable[..., Any]) -> list[str]:
    """Sentences on what is wrong in the source of a workflow's function, each with file and line. Nothing is
    found where there is no source (an interactive session)."""
    if not isinstance(function, FunctionType):
        return []
    tree = _tree_of(function)
    if tree is None:
        return []
    found = list(_Pass(function, tree).findings())
    return [finding.problem for finding in sorted(set(found))]


def _tree_of(function: FunctionType) -> ast.FunctionDef | None:
    code = function.__code__
    try:
        tree = module_tree(source_of(code.co_filename))
    except (SyntaxError, ValueError):  # it changed since it was imported, or is no text
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == code.co_name:
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            if first == code.co_firstlineno:
                return node
    return None


class _Pass:
    def __init__(self, function: FunctionType, tree: ast.FunctionDef) -> None:
        self._tree = tree
        self._file = function.__code__.co_filename
        self._globals: Mapping[str, Any] = function.__globals__
        self._closure: Mapping[str, Any] = (
            inspect.getclosurevars(function).nonlocals if function.__closure__ else {}
        )
        arguments = tree.args
        self._refs = {one.arg for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}
        self._holders: set[str] = set()  # lists and dicts with references in them
        self._local = {
            node.id
            for node in ast.walk(tree)
            if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)
        }
        while self._follow():
            pass

    def findings(self) -> Iterator[Finding]:
        for statement in self._tree.body:
            for node in ast.walk(statement):
                yield from self._findings_of(node)

    def _findings_of(self, node: ast.AST) -> Iterator[Finding]:
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            for operator, left, right in zip(node.ops, sides, sides[1:], strict=False):
                if isinstance(operator, ast.Is | ast.IsNot):
                    sign = "is" if isinstance(operator, ast.Is) else "is not"
                    yield from self._asked(node, sign, left, right)
        elif isinstance(node, ast.Match):
            yield from self._asked(node, "match", node.subject)
        elif isinstance(node, ast.FormattedValue) and node.conversion in _REPR and self._is_ref(node.value):
            yield self._finding(node, RULES["__format__"], ast.unparse(node.value))
        elif isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name) and node.func.id in _ASKING and self._is_builtin(node.func.id):
                yield from self._asked(node, _ASKING[node.func.id], *node.args[:1])
            elif steps_of(self._value_of(node.func)) is not None:
                yield self._finding(node, PROGRAM_CALL, ast.unparse(node.func))

    def _asked(self, node: Any, how: str, *values: ast.expr) -> Iterator[Finding]:
        for value in values:
            if self._is_ref(value):
                yield self._finding(
                    node, IDENTITY._replace(what=IDENTITY.what.replace("{how}", how)), ast.unparse(value)
                )
                return

    def _finding(self, node: Any, rule: Rule, ref: str) -> Finding:
        line: int = node.lineno if hasattr(node, "lineno") else node.subject.lineno
        what, way = rule.what.replace("{ref}", ref), rule.way.replace("{ref}", ref)
        return Finding(line, f"{self._file}:{line}: it {what}; {way}")

    def _follow(self) -> bool:
        """Adds the names that references are assigned to; whether there were new ones."""
        before = len(self._refs) + len(self._holders)
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    self._assign(target, node.value)
            elif isinstance(node, ast.AnnAssign | ast.NamedExpr) and node.value is not None:
                self._assign(node.target, node.value)
            elif isinstance(node, ast.For | ast.comprehension) and self._is_holder(node.iter):
                self._refs |= _names(node.target)
        return len(self._refs) + len(self._holders) > before

    def _assign(self, target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, ast.Tuple | ast.List) and isinstance(value, ast.Tuple | ast.List):
            for one, other in zip(target.elts, value.elts, strict=False):
                self._assign(one, other)
        elif self._is_ref(value) or (self._is_holder(value) and not isinstance(target, ast.Name)):
            self._refs |= _names(target)
        elif self._is_holder(value):
            self._holders |= _names(target)

    def _is_ref(self, node: ast.expr) -> bool:
        match node:
            case ast.Name():
                return node.id in self._refs
            case ast.Attribute():
                return self._is_ref(node.value)
            case ast.Subscript():
                return self._is_ref(node.value) or self._is_holder(node.value)
            case ast.NamedExpr():
                return self._is_ref(node.value)
            case ast.IfExp():
                return self._is_ref(node.body) or self._is_ref(node.orelse)
            case ast.Call(func=ast.Attribute(attr="step")):
                return True
            case ast.Call(func=ast.Name(id=name)):
                return name in _MAKERS and name not in self._local
            case _:
                return False

    def _is_holder(self, node: ast.expr) -> bool:
        match node:
            case ast.Name():
                return node.id in self._holders
            case ast.List() | ast.Tuple() | ast.Set():
                return any(self._is_ref(one) or self._is_holder(one) for one in node.elts)
            case ast.Dict():
                return any(self._is_ref(one) or self._is_holder(one) for one in node.values)
            case ast.ListComp() | ast.GeneratorExp() | ast.SetComp():
                return self._is_ref(node.elt) or self._is_holder(node.elt)
            case ast.DictComp():
                return self._is_ref(node.value) or self._is_holder(node.value)
            case _:
                return False

    def _value_of(self, node: ast.expr) -> Any:
        """What a name, or an attribute of a module or class, is; ``_NOWHERE``: only a run knows."""
        if isinstance(node, ast.Name):
            if node.id in self._refs or node.id in self._local:
                return _NOWHERE
            return self._closure.get(node.id, self._globals.get(node.id, _NOWHERE))
        if isinstance(node, ast.Attribute):
            owner = self._value_of(node.value)
            if isinstance(owner, ModuleType | type):
                return vars(owner).get(node.attr, _NOWHERE)
        return _NOWHERE

    def _is_builtin(self, name: str) -> bool:
        is_shadowed = name in self._local or name in self._closure or name in self._globals
        return not is_shadowed and hasattr(builtins, name)


def _names(target: ast.expr) -> set[str]:
    return {
        node.id for node in ast.walk(target) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
