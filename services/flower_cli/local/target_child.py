"""Reads a target in a process of its own, so that its code is read anew: for ``flower dev``.

``python -m flower_cli.local.target_child TARGET MODULE...`` prints what the target names as JSON, or says on
standard error why it cannot be read, and ends with 1.
"""

import subprocess
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

import msgspec
import typer

from flower_cli.workflow_targets import Targeted, targeted
from flower_engine.errors import FlowerError, ProgramError

_PATIENCE_SECONDS = 120.0


def read_anew(target: str, programs: Sequence[str]) -> Targeted:
    """What the target names, by the code as it stands now; all its modules import.

    Raises:
        ProgramError: it cannot be read; says why, as the code's author wants to see it.
    """
    command = [sys.executable, "-P", "-m", __name__, target, *programs]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        raise ProgramError(f"{target} was not read after {_PATIENCE_SECONDS:g} s: does it end?") from None
    if done.returncode == 0:
        # What the code itself prints while it is imported comes before.
        return msgspec.json.decode(done.stdout.rstrip("\n").rpartition("\n")[2], type=Targeted)
    raise ProgramError(done.stderr.strip() or f"{target} ended with exit code {done.returncode}")


def _main() -> int:
    from flower_engine.programs.program_modules import load_programs

    target, *programs = sys.argv[1:]
    try:
        found = targeted(target, programs)
        load_programs(found.modules)
    except typer.BadParameter as error:
        sys.stderr.write(f"{error.message}\n")
        return 1
    except FlowerError as error:
        where = error.__cause__
        if where is not None and not isinstance(where, FlowerError):
            own = [frame for frame in traceback.extract_tb(where.__traceback__) if _is_of_people(frame)]
            sys.stderr.writelines(traceback.format_list(own))
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write("\n" + msgspec.json.encode(found).decode() + "\n")
    return 0


def _is_of_people(frame: traceback.FrameSummary) -> bool:
    parts = Path(frame.filename).parts
    inner = "importlib" in parts or "flower_engine" in parts or "flower_cli" in parts
    return not (inner or frame.filename.startswith("<frozen"))


if __name__ == "__main__":
    sys.exit(_main())
