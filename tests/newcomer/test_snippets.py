"""What pages show is right, also where nobody can run it as it stands: every SQL runs, every ``curl`` is
answered, every command is one that the command line takes, Python compiles and finds what it imports, JSON
and YAML are read.

The beginning of the README, the tutorial and the pages for those who come from elsewhere are followed word
by word (``test_newcomers.py``), as are workflows.md and testing.md (``tests/authoring``, ``tests/testing``).
What is left cannot run here: Python that calls what the reader has (an own module, a chat), YAML for
Kubernetes, KEDA and Prometheus, addresses of servers that are not there, and outputs.
"""

import ast
import importlib
import re
import shlex
from collections.abc import Iterator
from typing import Any

import msgspec
import psycopg
import pytest
import yaml

from acceptance.running import PATIENT, RunningEngine
from unit.flower_commands import COMMANDS
from unit.pages import DOCS, ROOT

PAGES = {
    file.relative_to(ROOT).as_posix(): file.read_text()
    for file in [
        *sorted(DOCS.glob("*.md")),
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "examples/README.md")),
    ]
}
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SHELL = ("", "sh", "console", "shell", "bash")
_REQUEST = re.compile(
    r"curl(?: -X (?P<verb>[A-Z]+))? (?:http://)?(?:localhost|127\.0\.0\.1):8000(?P<path>/\S*)"
    r"(?: -H '[^']+')?(?: (?:-d|--json) '(?P<body>[^']*)')?"
)
_NIGHTLY: dict[str, Any] = {
    "taskId": "nightly",
    "parametersSchema": {"type": "object", "properties": {"day": {"type": "string"}}},
    "tasks": [{"taskSeq": 1, "program": "Noop"}],
}


def blocks(*languages: str) -> Iterator[tuple[str, str]]:
    """Page and text of each block in one of these languages."""
    for page, text in PAGES.items():
        for language, content in _BLOCK.findall(text):
            if language in languages:
                yield page, content


def command_lines() -> Iterator[tuple[str, list[str]]]:
    """Page and words of each call of ``flower`` in a block of commands."""
    for page, content in blocks(*_SHELL):
        shown = re.sub(r"(^|\s)#.*|^\$ |\\\n", " ", content, flags=re.MULTILINE)
        for line in map(str.strip, shown.splitlines()):
            if not re.match(r"(\w+=\S+ )*flower ", line) or line.count('"') % 2:
                continue
            lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|<>()")
            lexer.whitespace_split = True
            call: list[str] = []
            for word in [*lexer, ";"]:
                if set(word) <= set(";&|<>()"):
                    yield from ((page, call[at + 1 :]) for at in _calls(call))
                    call = []
                else:
                    call.append(word)


def _calls(words: list[str]) -> list[int]:
    """Where ``flower`` stands, behind what is set for it."""
    at = next((at for at, word in enumerate(words) if not re.fullmatch(r"\w+=.*", word)), len(words))
    return [at] if words[at : at + 1] == ["flower"] else []


def test_every_command_of_a_page_is_one_that_the_command_line_takes() -> None:
    wrong: list[str] = []
    lines = list(command_lines())
    for page, words in lines:
        name = next(
            (name for name in (f"flower {' '.join(words[:2])}", f"flower {words[0]}") if name in COMMANDS), ""
        )
        if not name:
            wrong.append(f"{page}: flower {' '.join(words)}: there is no such command")
            continue
        arguments = words[len(name.split()) - 1 :]
        try:
            COMMANDS[name].make_context(name, ["..." if word == "…" else word for word in arguments])
        except Exception as error:  # noqa: BLE001 # whatever it says is what the reader would be told
            wrong.append(f"{page}: flower {' '.join(words)}: {error}")
    assert len(lines) > 60
    with pytest.raises(Exception, match="--nope"):
        COMMANDS["flower errors"].make_context("flower errors", ["--nope"])
    assert wrong == []


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEngine]:
    with RunningEngine.started(tmp_path_factory.mktemp("engine"), "api", **PATIENT) as running:
        running.define_ahead("nightly", _NIGHTLY["tasks"])
        yield running


def test_every_request_of_a_page_is_answered(engine: RunningEngine) -> None:
    engine.client.put("/workflows/nightly", json=_NIGHTLY).raise_for_status()
    asked: list[str] = []
    wrong: list[str] = []
    flow = ""
    for page, content in blocks(*_SHELL):
        for found in _REQUEST.finditer(content):
            path = re.sub(r"\$FLOW|01a2[0-9a-f-]{32}", flow, found["path"])
            body = msgspec.json.decode(found["body"]) if found["body"] else None
            reply = engine.client.request(found["verb"] or "GET", path, json=body)
            asked.append(f"{page}: {found[0][:60]}")
            if reply.status_code >= 400:
                wrong.append(f"{asked[-1]}: {reply.status_code} {reply.text}")
            elif path.startswith("/register"):
                flow = reply.json()["taskFlowId"]
    assert len(asked) >= 8
    assert wrong == []


def test_every_sql_of_a_page_runs(engine: RunningEngine) -> None:
    """On tables that have no hooks and schedules yet; nothing of it stays."""
    ran = 0
    with psycopg.connect(engine.addresses.database_url) as connection:
        connection.execute("DELETE FROM ms_hook")
        connection.execute("DELETE FROM ms_schedule")
        for _, content in blocks("sql"):
            for statement in re.split(r";\s*(?:--.*)?\n", content):
                if statement.strip():
                    connection.execute(statement.encode())
                    ran += 1
        connection.rollback()
    assert ran >= 8


def test_every_python_of_a_page_compiles_and_finds_what_it_imports() -> None:
    wrong: list[str] = []
    for page, content in blocks("python"):
        compile(content, page, "exec")
        for node in ast.walk(ast.parse(content)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("flower_engine"):
                module = importlib.import_module(node.module or "")
                wrong += [f"{page}: {one.name}" for one in node.names if not hasattr(module, one.name)]
    assert wrong == []


def test_every_json_and_yaml_of_a_page_is_read() -> None:
    for _, content in blocks("json"):
        msgspec.json.decode(content)
    for _, content in blocks("yaml"):
        assert list(yaml.safe_load_all(content))
