"""``make test-matrix``: on each Python that is found the tests that its version can break, and on each server
of the system those that its version can. docs/platforms.md says what came of it.

``PYTHONS="python3.12 /opt/py314/bin/python"`` names others, ``PYTHONS=`` none. Ends with 1 where one failed.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from xml.etree import ElementTree

from matrix.servers import postgres_servers, redis_servers

ROOT = Path(__file__).parents[2]
VERSIONS = ("3.11", "3.12", "3.13", "3.14")
JOBS = os.environ.get("JOBS", "2")
OF_PYTHON = ("tests/unit", "tests/authoring", "tests/scripts", "tests/projection", "tests/worker")
OF_REDIS = ("tests/scripts",)
OF_POSTGRES = ("tests/projection",)
_BINARIES = "import sys; print(sys.executable, '.'.join(map(str, sys.version_info[:3])))"


def main() -> int:
    codes = [run_on_python(version, python) for version, python in sorted(pythons().items())]
    with ExitStack() as stack:
        for name, urls in redis_servers(stack, int(JOBS)):
            codes.append(run(f"Redis {name}", sys.executable, OF_REDIS, TEST_REDIS_URLS=",".join(urls)))
        for name, urls in postgres_servers(stack, int(JOBS)):
            codes.append(
                run(f"Postgres {name}", sys.executable, OF_POSTGRES, TEST_DATABASE_URLS=",".join(urls))
            )
    return max(codes, default=0)


def pythons() -> dict[str, str]:
    """Full version -> interpreter, of each that is found."""
    found: dict[str, str] = {}
    for command in candidates():
        asked = subprocess.run([command, "-c", _BINARIES], capture_output=True, text=True, check=False)
        if asked.returncode == 0:
            path, version = asked.stdout.split()
            if version.rpartition(".")[0] in VERSIONS:
                found.setdefault(version, path)
    return found


def candidates() -> Iterator[str]:
    """Commands and files that may be interpreters."""
    given = os.environ.get("PYTHONS")
    if given is not None:
        yield from given.split()
        return
    kept = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for version in VERSIONS:
        beside = os.pathsep.join(
            ("/usr/local/bin", "/usr/bin")
        )  # the system's, behind which another one may hide
        for path in (None, beside):
            yield from (found for found in [shutil.which(f"python{version}", path=path)] if found)
        yield from map(str, kept.glob(f"{version}.*/bin/python"))


def run_on_python(version: str, python: str) -> int:
    """Runs the tests on this Python, in an environment of its own with what the lock files name."""
    folder = ROOT / ".venv-matrix" / version
    own, is_made = folder / "bin" / "python", folder / "made"
    if not is_made.is_file():
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([python, "-m", "venv", folder], check=True)
        pip = [own, "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*pip, "-r", "requirements.lock", "-r", "requirements-dev.lock"], cwd=ROOT, check=True)
        subprocess.run([*pip, "-e", "."], cwd=ROOT, check=True)
        is_made.touch()
    return run(f"Python {version}", str(own), OF_PYTHON)


def run(name: str, python: str, tests: tuple[str, ...], **settings: str) -> int:
    """Runs tests, and says how many there were."""
    report = ROOT / "build" / "matrix" / f"{name.replace(' ', '-').lower()}.xml"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.unlink(missing_ok=True)
    command = [python, "-m", "pytest", "-n", JOBS, "--dist", "loadfile", f"--junitxml={report}", *tests]
    began = time.monotonic()
    with report.with_suffix(".log").open("wb") as log:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, **settings},
            stdout=log,
            stderr=subprocess.STDOUT,
            check=False,
        )
    print(f"{name}: {counts(report)}; {time.monotonic() - began:.0f} s", flush=True)
    if done.returncode != 0:
        print(f"  see {report.with_suffix('.log').relative_to(ROOT)}", flush=True)
    return done.returncode


def counts(report: Path) -> str:
    """What a run came to."""
    if not report.is_file():
        return "it ran no test"
    (suite,) = ElementTree.parse(report).getroot().iter("testsuite")
    total, failed, skipped = (int(suite.get(word, "0")) for word in ("tests", "failures", "skipped"))
    failed += int(suite.get("errors", "0"))
    return f"{total - failed - skipped} passed, {failed} failed, {skipped} skipped"


if __name__ == "__main__":
    sys.exit(main())
