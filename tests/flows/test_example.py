"""The example: the engine as a library, in a process that never hears of HTTP."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "engine_without_http.py"
_RUN = """
import runpy, sys
runpy.run_path(sys.argv[1], run_name="__main__")
served = {"fastapi", "starlette", "uvicorn", "flower_api"}
print("imported", sorted(served & {name.partition(".")[0] for name in sys.modules}))
"""


def _run(environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", _RUN, EXAMPLE], env=environment, capture_output=True, text=True, check=False
    )


def test_a_flow_is_registered_read_explained_and_run_again(redis_url: str, database_url: str) -> None:
    run = _run({"FLOWER_REDIS_URL": redis_url, "FLOWER_DATABASE_URL": database_url})
    assert run.returncode == 0, run.stderr
    first, second, last, imported = run.stdout.splitlines()
    assert first == "task 1 Fetch: no live worker serves queue default"
    assert second == "task 2 Count: waits for 1"
    assert last == "task 1 runs again, which is version 3 of the flow"
    assert imported == "imported []"


def test_without_stores_it_says_what_to_set() -> None:
    run = _run({})
    assert "set FLOWER_REDIS_URL and FLOWER_DATABASE_URL" in run.stderr
