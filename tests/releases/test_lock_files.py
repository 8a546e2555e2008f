"""The lock files name what each Python needs that Flower supports, not only the one that made them.

They are installed with ``--no-deps``: what they leave out is not there. redis-py, for one, asks for
async-timeout on Python 3.11.0 to 3.11.2, which is what Debian 12 has, and on no other.
"""

import importlib.metadata
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from unit.pages import ROOT

RUN = ROOT / "requirements.lock"
TEST = ROOT / "requirements-dev.lock"
PYTHONS = ("3.11.0", "3.11.2", "3.11.9", "3.12.0", "3.13.0", "3.14.0")
Environment = dict[str, str]


def on(python: str, system: str = "Linux") -> Environment:
    """What markers ask for: CPython in this version, on this system."""
    return {
        **{name: str(value) for name, value in default_environment().items()},
        "python_full_version": python,
        "python_version": python.rpartition(".")[0],
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "platform_system": system,
        "sys_platform": system.lower(),
    }


def locked(environment: Environment, *locks: Path) -> set[str]:
    """The packages that these files install there."""
    found = (
        one for lock in locks for one in re.findall(r"^[\w.-]+==[^\\\n]+", lock.read_text(), re.MULTILINE)
    )
    return {canonicalize_name(one.name) for one in map(Requirement, found) if holds(one, environment)}


def holds(asked: Requirement, environment: Environment, extra: str = "") -> bool:
    return asked.marker is None or asked.marker.evaluate({**environment, "extra": extra})


def needed(environment: Environment, extra: str) -> set[str]:
    """What flower-engine with this extra needs there, and what that needs."""
    found: set[tuple[str, str]] = set()
    ahead = [("flower-engine", ""), ("flower-engine", extra)]
    while ahead:
        name, of = ahead.pop()
        if (name, of) not in found:
            found.add((name, of))
            ahead += asked_by(name, of, environment)
    return {name for name, _ in found} - {"flower-engine"}


def asked_by(name: str, extra: str, environment: Environment) -> Iterator[tuple[str, str]]:
    try:
        asks = importlib.metadata.requires(name) or []
    except importlib.metadata.PackageNotFoundError:  # it is for another Python than this one
        return
    for asked in map(Requirement, asks):
        if holds(asked, environment, extra):
            yield from ((canonicalize_name(asked.name), one) for one in ("", *asked.extras))


@pytest.mark.parametrize("system", ["Linux", "Darwin"])
@pytest.mark.parametrize("python", PYTHONS)
def test_the_lock_files_name_all_that_is_needed_on_each_python(python: str, system: str) -> None:
    there = on(python, system)
    assert needed(there, "") - locked(there, RUN) == set()
    assert needed(there, "dev") - locked(there, RUN, TEST) == set()


@pytest.mark.parametrize("python", PYTHONS)
def test_no_lock_file_names_what_nothing_needs(python: str) -> None:
    there = on(python)
    assert locked(there, RUN) - needed(there, "") == set()
    assert locked(there, RUN, TEST) - needed(there, "dev") == set()


@pytest.mark.parametrize("lock", ["deploy/helm", "release", "website"])
@pytest.mark.parametrize("python", PYTHONS)
def test_a_tool_is_locked_in_one_version_for_each_python(lock: str, python: str) -> None:
    there = on(python)
    lines = re.findall(r"^[\w.-]+==[^\\\n]+", (ROOT / lock / "requirements.lock").read_text(), re.MULTILINE)
    named = [canonicalize_name(one.name) for one in map(Requirement, lines) if holds(one, there)]
    assert len(named) == len(set(named)) > 5
