"""An engine whose services are of two versions: this one, and the one before, from an environment of its
own."""

import os
import signal
import subprocess
from pathlib import Path
from typing import IO

from acceptance.running import RunningEngine
from flower_engine.embedded.processes import spawn

PYTHON_BEFORE = Path(os.environ.get("FLOWER_PYTHON_BEFORE", ""))
"""The interpreter that has the version before; ``make test-upgrade`` sets it."""


class TwoVersions(RunningEngine):
    """The same; ``start_before`` starts a service of the version before."""

    def start_before(self, name: str, *words: str) -> None:
        """Starts a service of the version before, which has none of this checkout but the tests' programs."""
        with self._log(name).open("ab") as output:
            self._logged_before[name] = output.tell()
            command = [name.partition("-")[0], *words]
            self._processes[name] = spawn_before(command, self._folder, output, self._environment)

    def upgrade(self, name: str) -> None:
        """Stops a service, which must end well, and starts that of this version."""
        self.stop(name)
        self.start(name)

    def before(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command of the version before, to its end; what it says is in ``stdout``."""
        command = [PYTHON_BEFORE, "-P", "-m", "flower_cli", *words]
        return subprocess.run(
            command,
            env=self._environment,
            cwd=self._folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=120,
        )


def spawn_before(
    words: list[str], folder: Path, output: IO[bytes], environment: dict[str, str]
) -> subprocess.Popen[bytes]:
    """A command of the version before, which ends with this process."""
    command = [PYTHON_BEFORE, "-P", "-m", "flower_cli", *words]
    return spawn(command, folder=folder, output=output, dies_by=signal.SIGKILL, environment=environment)


def environment_of(**settings: str) -> dict[str, str]:
    """That of this process with other settings of Flower."""
    others = {name: text for name, text in os.environ.items() if not name.startswith("FLOWER_")}
    return {**others, **settings}
