"""The supervisor keeps children running, gives up on those that cannot run, and leaves none behind."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from flower_cli.console import error_of
from flower_cli.local.supervisor import ServiceFailedError, Supervisor, end_leftovers
from flower_engine.embedded.processes import ProcessMark, spawn

STAYS = "print('up', flush=True); input_never = __import__('time').sleep(600)"
ENDS_ITSELF_WELL = "print('up', flush=True); __import__('time').sleep(0.01)"
CANNOT_RUN = "import sys; sys.exit('error: the moon is missing')"
ENDED_BY_A_PROGRAM = "print('up', flush=True); __import__('os')._exit(%d)"
IGNORES_SIGTERM = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "print('up', flush=True); time.sleep(600)"
)
HAS_A_CHILD = (
    "import subprocess, sys, time;"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
    "print(child.pid, flush=True); time.sleep(600)"
)


class Heard:
    """What children printed, to wait for."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self._changed = threading.Condition()

    def __call__(self, name: str, line: str) -> None:
        with self._changed:
            self.lines.append((name, line))
            self._changed.notify_all()

    def wait_for(self, name: str, count: int = 1) -> list[str]:
        """The lines of a child, as soon as there are so many."""

        def enough() -> list[str]:
            lines = [line for child, line in self.lines if child == name]
            return lines if len(lines) >= count else []

        with self._changed:
            assert self._changed.wait_for(enough, timeout=60), self.lines
            return enough()


Make = Callable[..., Supervisor]


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def make(tmp_path: Path, heard: Heard) -> Iterator[Make]:
    made: list[Supervisor] = []

    def supervisor(**programs: str) -> Supervisor:
        commands = {name: [sys.executable, "-c", program] for name, program in programs.items()}
        made.append(
            Supervisor(commands, environment=os.environ, marks_file=tmp_path / "services.json", sink=heard)
        )
        return made[-1]

    yield supervisor
    for one in made:
        one.stop(patience_seconds=0)


def pid_of(supervisor: Supervisor, index: int = 0) -> int:
    process = supervisor.children[index].process
    assert process is not None
    return process.pid


def run_until(supervisor: Supervisor, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        supervisor.run_once()
        time.sleep(0.01)


def test_what_a_child_prints_arrives_under_its_name(make: Make, heard: Heard) -> None:
    supervisor = make(one=STAYS, two=STAYS)
    supervisor.start()
    assert heard.wait_for("one") == heard.wait_for("two") == ["up"]


def test_a_killed_child_is_started_again(make: Make, heard: Heard) -> None:
    supervisor = make(service=STAYS)
    supervisor.start()
    heard.wait_for("service")
    first = pid_of(supervisor)
    os.kill(first, signal.SIGKILL)
    run_until(supervisor, lambda: len(heard.lines) == 2)
    assert pid_of(supervisor) != first


def test_a_child_that_ends_by_itself_is_started_again(make: Make, heard: Heard) -> None:
    supervisor = make(service=ENDS_ITSELF_WELL)
    supervisor.start()
    run_until(supervisor, lambda: len(heard.lines) >= 3)


def test_a_child_that_cannot_run_is_given_up_with_its_own_words(make: Make) -> None:
    supervisor = make(service=CANNOT_RUN)
    supervisor.start()
    with pytest.raises(ServiceFailedError, match=r"^service cannot run \(3 attempts\): the moon is missing$"):
        run_until(supervisor, lambda: False)


@pytest.mark.parametrize("code", [1, 2, 9])
def test_a_child_that_a_program_ends_each_time_is_started_again_for_ever(
    code: int, make: Make, heard: Heard
) -> None:
    supervisor = make(service=ENDED_BY_A_PROGRAM % code)
    supervisor.start()
    run_until(supervisor, lambda: len(heard.lines) > 3)


def test_what_a_child_said_before_it_was_killed_is_not_taken_for_its_end(make: Make, heard: Heard) -> None:
    supervisor = make(service=CANNOT_RUN.replace("sys.exit", "print") + "; __import__('os')._exit(9)")
    supervisor.start()
    run_until(supervisor, lambda: len(heard.lines) > 3)


def test_an_error_is_known_in_colour_too() -> None:
    assert error_of("\x1b[31merror: the moon is missing\x1b[0m") == "the moon is missing"
    assert error_of("INFO worker: no error: all is well") is None


def test_stopping_leaves_nothing_of_a_child_and_its_children(make: Make, heard: Heard) -> None:
    supervisor = make(service=HAS_A_CHILD)
    supervisor.start()
    grandchild = psutil.Process(int(heard.wait_for("service")[0]))
    supervisor.stop(patience_seconds=10)
    assert supervisor.children[0].process is None
    psutil.wait_procs([grandchild], timeout=60)
    assert not grandchild.is_running() or grandchild.status() == psutil.STATUS_ZOMBIE


def test_a_child_that_does_not_end_is_killed_when_its_time_is_over(make: Make, heard: Heard) -> None:
    supervisor = make(service=IGNORES_SIGTERM)
    supervisor.start()
    heard.wait_for("service")
    pid = pid_of(supervisor)
    supervisor.stop(patience_seconds=0.1)
    assert not psutil.pid_exists(pid)


def test_a_second_request_kills_at_once(make: Make, heard: Heard) -> None:
    supervisor = make(service=IGNORES_SIGTERM)
    supervisor.start()
    heard.wait_for("service")
    supervisor.stop(patience_seconds=1000, is_forced=lambda: True)


def test_children_end_when_their_supervisor_is_killed(tmp_path: Path) -> None:
    program = textwrap.dedent("""
        import os, sys, time
        from pathlib import Path
        from flower_cli.local.supervisor import Supervisor
        commands = {"service": [sys.executable, "-c", sys.argv[2]]}
        supervisor = Supervisor(
            commands, environment=os.environ, marks_file=Path(sys.argv[1]),
            sink=lambda name, line: os.write(1, f"{line}\\n".encode()),  # in one piece, beside the other
        )
        supervisor.start()
        os.write(1, f"{supervisor.children[0].process.pid}\\n".encode())
        time.sleep(600)
    """)
    words = [sys.executable, "-c", program, tmp_path / "services.json"]
    with subprocess.Popen([*words, STAYS], stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        printed = {owner.stdout.readline().strip(), owner.stdout.readline().strip()}
        (pid,) = printed - {b"up"}
        child = psutil.Process(int(pid))
        owner.kill()
    end_leftovers(tmp_path / "services.json")
    psutil.wait_procs([child], timeout=60)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
    assert not (tmp_path / "services.json").exists()


def test_a_process_that_only_has_the_id_of_a_child_left_over_is_spared(tmp_path: Path) -> None:
    other = spawn(
        [sys.executable, "-c", STAYS], folder=tmp_path, output=subprocess.DEVNULL, dies_by=signal.SIGKILL
    )
    mark = ProcessMark.of(other.pid)
    marks = tmp_path / "services.json"
    marks.write_text(f'[{{"pid": {mark.pid}, "started": {mark.started - 1000}}}]')
    end_leftovers(marks)
    assert other.poll() is None
    other.kill()
    other.wait()
