"""Tests in copies of the process that collected them end as they would in one."""

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

_CONFTEST = """
import pytest
import copied_runs

copied_runs._LOOKS = 20

def pytest_configure(config):
    config.pluginmanager.register(copied_runs.CopiedRun(2))

@pytest.fixture(scope="session")
def lasting():
    yield object()
    raise RuntimeError("what is of the session ends badly")
"""
_ONE = """
import os, signal, warnings
seen = []
def test_it_passes(lasting): seen.append(lasting)
def test_it_fails(): print("what it printed"); assert 1 + 1 == 3
def test_it_warns(): warnings.warn("beware")
def test_it_is_killed(): os.kill(os.getpid(), signal.SIGKILL)
def test_what_comes_behind_runs_in_another_copy(): assert not seen
"""
_LASTING = """
import pytest
seen = []
@pytest.mark.parametrize("time", [1, 2])
def test_the_same_is_lasting(lasting, time): seen.append(lasting); assert len(set(seen)) == 1
def test_it_is_passed_over(): pytest.skip("not here")
"""
_FAILS = "def test_it_fails(): assert False\ndef test_it_is_too_late(): pass\n"
_HANGS = """
import threading
def test_it_leaves_a_thread(): threading.Thread(target=threading.Event().wait).start()
"""
_STOPS = "import pytest\ndef test_it_stops_all(): pytest.exit('enough')\n"


def _run(
    folder: Path, *arguments: str, **files: str
) -> tuple[subprocess.CompletedProcess[str], dict[str, str]]:
    """How it ended, and of each test what came of it."""
    for name, text in {"conftest": _CONFTEST, **files}.items():
        (folder / f"{name}.py").write_text(text)
    told = folder / "told.xml"
    path = os.pathsep.join([str(Path(__file__).parents[1]), str(Path(__file__).parents[2])])
    plugins = ("no:cacheprovider", "no:asyncio", "no:schemathesis", "no:hypothesispytest", "no:xdist")
    without = [word for name in plugins for word in ("-p", name)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *without, f"--junitxml={told}", *arguments, folder],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    cases = ElementTree.parse(told).iter("testcase")
    return done, {
        case.get("name", ""): " ".join(each.tag for each in case if each.tag != "properties")
        for case in cases
    }


def test_each_test_runs_once_and_ends_as_it_would_in_one_process(tmp_path: Path) -> None:
    done, came = _run(tmp_path, test_one=_ONE, test_lasting=_LASTING)
    assert done.returncode == 1
    told = {name: came.pop(name) for name in list(came) if not name.startswith("the end of copy")}
    assert told == {
        "test_it_passes": "",
        "test_it_fails": "failure",
        "test_it_warns": "",
        "test_it_is_killed": "failure",
        "test_what_comes_behind_runs_in_another_copy": "",
        "test_the_same_is_lasting[1]": "",
        "test_the_same_is_lasting[2]": "",
        "test_it_is_passed_over": "skipped",
    }
    assert set(came.values()) == {"failure"}  # once for each copy that is there to its end
    for words in (
        *("what it printed", "assert (1 + 1) == 3", "UserWarning: beware"),
        *("ended with -9 while it ran this test", "what is of the session ends badly"),
    ):
        assert words in done.stdout, done.stdout


def test_who_exits_stops_all(tmp_path: Path) -> None:
    done, _ = _run(tmp_path, test_one=_STOPS, test_two=_LASTING)
    assert done.returncode == 2 and "enough" in done.stdout


def test_it_stops_at_the_first_failure_where_it_is_told_to(tmp_path: Path) -> None:
    done, came = _run(tmp_path, "--exitfirst", test_one=_FAILS)
    assert done.returncode == 1
    assert came == {"test_it_fails": "failure"}


def test_a_thread_that_never_ends_is_told_and_holds_up_nothing(tmp_path: Path) -> None:
    done, came = _run(tmp_path, test_one=_HANGS, test_two=_FAILS)
    assert done.returncode == 1 and "a thread of it did not end" in done.stdout
    assert "in run" in done.stdout, "what it does"
    assert came.pop("test_it_leaves_a_thread") == "" and came.pop("test_it_is_too_late") == ""
    assert "failure" in came.values()
