"""``make test-site``: the site is built with no warning where there is no network, its links lead
somewhere, and a browser fetches nothing of it elsewhere."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

from website.__main__ import check, lay

ROOT = Path(__file__).parents[2]
_ZENSICAL = ROOT / ".venv-site" / "bin" / "zensical"
_COLOURS = re.compile(r"\x1b\[[\d;]*m")


def main() -> None:
    began = time.monotonic()
    lay()
    said = build_alone(ROOT / "build" / "website")
    assert "No issues found" in said, said
    check()
    sys.stdout.write(
        f"the site is built without a warning and without a network; {time.monotonic() - began:.0f} s\n"
    )


def build_alone(folder: Path) -> str:
    """Builds what was laid into ``folder``, with loopback and no other network; what was said.

    Raises:
        AssertionError: the build failed, or something asked for a way to another machine.
    """
    counts = folder / "wanted-elsewhere"
    alone = [sys.executable, "-m", "loopback_only", str(counts)]
    command = [str(_ZENSICAL), "build", "--strict", "--clean"]
    if not _can_isolate():
        sys.stdout.write(
            "this system gives nobody a network of his own: the site is built with the one there is\n"
        )
        alone, counts = [], Path()
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(
        [*alone, *command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    said = _COLOURS.sub("", done.stdout + done.stderr)
    assert done.returncode == 0, said
    wanted = counts.read_text() if alone else "0"
    assert wanted == "0", f"{wanted} times somebody asked for a way to another machine"
    return said


def _can_isolate() -> bool:
    probe = "import loopback_only; loopback_only.isolate()"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    return (
        subprocess.run(
            [sys.executable, "-c", probe], env=environment, capture_output=True, check=False
        ).returncode
        == 0
    )


if __name__ == "__main__":
    main()
