"""``docs/api.md`` has every call and every type of problem, and the README every call."""

import ast
import re
from typing import Any, cast

from flower_api.app import create_app
from unit.pages import ROOT, quoted, rows, source_files

API = ROOT / "services" / "flower_api"
ANSWERED = ("flower_api", "flows", "transitions")
"""Packages whose refusals reach people as problems."""
KIND_AT = {"ProblemError": 1, "with_faults": 0, "RefusedError": 1}
"""Which argument of these calls is the last word of a problem's type."""


def _calls() -> set[str]:
    described = cast(dict[str, dict[str, Any]], create_app(cast(Any, object())).openapi()["paths"])
    return {f"{method.upper()} {path}" for path, methods in described.items() for method in methods}


def _kinds() -> set[str]:
    kinds: set[str] = set()
    for file in source_files(".py"):
        if not set(file.parts) & set(ANSWERED):
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in KIND_AT:
                kind = node.args[KIND_AT[node.func.id] :][:1]
                kinds |= {
                    one.value for one in kind if isinstance(one, ast.Constant) and isinstance(one.value, str)
                }
    return kinds


def test_every_call_has_its_row() -> None:
    assert sorted(row["call"].strip("`") for row in rows("api.md", "call")) == sorted(_calls())


def test_every_type_of_problem_has_its_row() -> None:
    kinds = _kinds()
    assert kinds
    named = {kind for row in rows("api.md", "type") for kind in quoted(row["type"])}
    assert sorted(kinds - named) == [], "docs/api.md does not name these types of problems"


def test_every_type_of_problem_that_the_page_names_is_one() -> None:
    sources = "\n".join(file.read_text() for file in source_files(".py", ".lua"))
    named = {kind for row in rows("api.md", "type") for kind in quoted(row["type"])}
    assert sorted(kind for kind in named if not re.search(rf"[\"']{kind}[\"']", sources)) == []


def test_every_reason_that_a_transition_refuses_with_has_its_row() -> None:
    lua = "\n".join(file.read_text() for file in source_files(".lua"))
    reasons = set(re.findall(r"\brefused\(flow, '([a-z-]+)'", lua))
    named = {kind for row in rows("api.md", "type") for kind in quoted(row["type"])}
    assert reasons
    assert sorted(reasons - named) == []


def test_every_file_of_routes_is_added_to_the_app() -> None:
    app = (API / "app.py").read_text()
    adding = [
        name
        for file in (API / "routes").glob("*.py")
        for name in re.findall(r"^def (add_\w+)\(", file.read_text(), re.MULTILINE)
    ]
    assert adding
    assert [name for name in adding if f"    {name}(app" not in app] == []


def test_the_readme_has_every_group_of_calls() -> None:
    readme = (ROOT / "README.md").read_text()
    groups = {call.split()[1].split("/")[1] for call in _calls()}
    assert sorted(group for group in groups if f"/{group}" not in readme) == []


def test_every_call_is_made_by_a_test() -> None:
    """By hand, besides what is tried with each by its description."""
    folders = [ROOT / "tests" / "api", ROOT / "tests" / "cli"]
    tests = "\n".join(file.read_text() for folder in folders for file in folder.glob("*.py"))
    unmade: list[str] = []
    for call in _calls():
        *_, last = (part for part in call.split()[1].split("/") if not part.startswith("{"))
        if not re.search(rf"[/\"']{re.escape(last)}\b", tests):
            unmade.append(call)
    assert sorted(unmade) == []
