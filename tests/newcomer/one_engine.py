"""One engine for all that newcomers meet, and what they do with it in a folder of their own."""

import contextlib
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

import forked_flower
from acceptance.running import RunningEngine
from flower_engine.client import Client, Flow
from newcomer.page_blocks import Block, steps_of, told

_PATIENCE_SECONDS = 180.0
_OTHER_PLUGINS = ("valkey", "cacheprovider", "asyncio", "anyio", "schemathesis", "hypothesispytest", "xdist")
_PYTHON = "import runpy, sys; sys.path.insert(0, ''); runpy.run_path({!r}, run_name='__main__')"


class Newcomer:
    """Somebody with a folder and an engine. A file that they run is served by a worker of its own, as it
    stands then: its copies of modules are read anew."""

    def __init__(self, engine: RunningEngine, client: Client, folder: Path) -> None:
        self.engine = engine
        self.client = client
        self.folder = folder
        self._served: dict[Path, str] = {}

    def follow(self, blocks: Sequence[Block]) -> None:
        """Does what a page says, in its order: writes the files, enters the commands, and looks whether they
        print what the page says that they do."""
        wrong: list[str] = []
        with contextlib.chdir(self.folder):
            for block in blocks:
                if block.file:
                    (self.folder / block.file).write_text(block.text)
                    continue
                for command, printed in steps_of(block):
                    said = self._enter(command)
                    if not told(said, printed):
                        wrong.append(f"{command}\nprinted\n{said}\nand the page says\n{printed}")
        assert wrong == [], "\n".join([*wrong, self.engine.logs()])

    def run(self, target: str, *given: str) -> str:
        """``flower run``, with this engine in place of one of its own: what it prints on standard output, or
        why there is no flow."""
        registered = self.engine.flower("register", self.define(target), *given)
        if registered.returncode != 0:  # the command itself says so before it starts anything
            return self.engine.flower("run", target, *given).stderr
        flow = self.ended(registered.stdout.split()[0])
        assert flow.word == "Finish", f"{flow.failed}\n{self.engine.logs()}"
        return msgspec.json.format(msgspec.json.encode(flow.result)).decode()

    def define(self, target: str) -> str:
        """Has the only workflow of a Python file in use, and served; its name."""
        self.serve(Path(target))
        deployed = self.engine.flower("deploy", target, "--yes", "--json")
        assert deployed.returncode == 0, deployed.stdout + deployed.stderr
        (workflow,) = msgspec.json.decode(deployed.stdout)["workflows"]
        return workflow["taskId"]

    def ended(self, flow: str) -> Flow:
        """The flow, when nothing more of it happens by itself."""
        return self.client.flow(flow).wait(timeout=_PATIENCE_SECONDS)

    def serve(self, file: Path) -> None:
        """Has a worker with the programs of a Python file, as it is now."""
        now = file.read_text()
        if self._served.get(file) == now:
            return
        name = f"worker-{file.stem}"
        if file in self._served:
            self.engine.stop(name)
        before = self._workers()
        with contextlib.chdir(file.parent):
            self.engine.start(name, "--programs", file.stem)
        self.engine.wait_for(f"a worker with {file}", lambda: bool(self._workers() - before))
        self._served[file] = now

    def _enter(self, command: str) -> str:
        match shlex.split(command, comments=True):
            case ["flower", "run", target, *given]:
                return self.run(target, *given)
            case ["flower", "dev" | "up", *_] | ["pip", *_]:
                return ""  # the engine is there, and takes over what is changed
            case ["flower", *words]:
                for file in list(self._served):
                    self.serve(file)
                done = self.engine.flower(*words)
                if words[0] in ("resume", "rerun"):  # the reader looks again when it has ended
                    self.ended(next(self.client.flows(limit=1)).task_flow_id)
                return done.stdout + done.stderr * bool(done.returncode)
            case ["python", file]:
                return self._python(_PYTHON.format(file))
            case ["pytest", file]:
                return self._pytest(file)
            case _:
                raise AssertionError(f"a page has the command {command!r}, which no test knows")

    def _pytest(self, file: str) -> str:
        without = [word for name in _OTHER_PLUGINS for word in ("-p", f"no:{name}")]
        command = [sys.executable, "-m", "pytest", *without, file]
        return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False).stdout

    def _python(self, code: str) -> str:
        environment = {**os.environ, "FLOWER_URL": self.engine.url}
        with tempfile.TemporaryFile() as output:
            process = forked_flower.start("-c", code, environment=environment, output=output)
            code_of_end = process.wait(_PATIENCE_SECONDS)
            output.seek(0)
            said = output.read().decode()
        assert code_of_end == 0, said
        return said

    def _workers(self) -> set[Any]:
        return {worker.worker for worker in self.client.workers()}
