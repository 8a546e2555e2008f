"""Tests beside each other, in copies of the one process that has collected them: ``pytest --copies 4``.

Each process of xdist collects all tests for itself, and takes reports apart in Python that pickle hands on at
once. A copy has what is imported and collected already, and its stores are its own. It asks for the tests
of one file after the other, in the order in which they were collected.
"""

import atexit
import contextlib
import faulthandler
import os
import signal
import sys
import threading
import time
import traceback
import warnings
from collections import deque
from collections.abc import Callable, Sequence
from itertools import groupby, pairwise
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from typing import Any, Literal, NoReturn, cast

import pytest

from fork_children import dies_with_its_parent

_LOOKS, _LOOK_SECONDS = 1_200, 0.05  # a minute
_TELLS_STACKS = signal.SIGUSR1  # a copy writes what its threads do
number = 0
"""Which of the copies this process is; 0 where there are none, too."""


class CopiedRun:
    """The plug-in: what runs the tests in place of pytest's own loop."""

    def __init__(self, copies: int) -> None:
        self._count = copies
        self._left: deque[Sequence[int]] = deque()
        self._copies: dict[Connection, _Copy] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Literal[True] | None:
        """Runs all; None: pytest itself says what is wrong with what it collected, or lists it."""
        if session.testsfailed or session.config.option.collectonly:
            return None
        _folders(session).getbasetemp()  # is made, or emptied, here alone
        numbers = range(len(session.items))
        self._left.extend(list(group) for _, group in groupby(numbers, lambda one: session.items[one].path))
        try:
            for which in range(min(self._count, len(self._left))):
                self._begin(session, which)
            while self._copies:
                for ready in wait(list(self._copies)):
                    self._hear(session, cast(Connection, ready))
                if session.shouldfail:
                    raise session.Failed(session.shouldfail)
                if session.shouldstop:
                    raise session.Interrupted(session.shouldstop)
        finally:
            for copy in self._copies.values():  # a connection that is closed ends it, with all it started
                copy.connection.close()
            for copy in self._copies.values():
                copy.interrupt()
        return True

    def _begin(self, session: pytest.Session, which: int) -> None:
        ours, theirs = (cast(Connection, end) for end in Pipe())  # which has another type on Windows
        parent, stacks = os.getpid(), os.memfd_create("stacks")
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            for connection in (ours, *self._copies):
                connection.close()
            faulthandler.register(_TELLS_STACKS, stacks)
            _be_a_copy(session, theirs, which, parent)
        theirs.close()
        self._copies[ours] = _Copy(which, pid, ours, stacks)

    def _hear(self, session: pytest.Session, connection: Connection) -> None:
        copy = self._copies[connection]
        hook = session.config.hook
        try:
            kind, *told = connection.recv()
        except (EOFError, OSError):
            self._replace(session, copy)
            return
        match kind:
            case "asks":
                copy.has = deque(self._left.popleft() if self._left else ())
                connection.send(list(copy.has))
            case "ran":
                copy.has.popleft()
                item, reports = told
                made = (
                    hook.pytest_report_from_serializable(config=session.config, data=one) for one in reports
                )
                self._report(session, item, *made)
            case "warns":
                text, file, line, where = told
                warning = warnings.WarningMessage(UserWarning(text), UserWarning, file, line)
                hook.pytest_warning_recorded.call_historic(kwargs={"warning_message": warning, **where})
            case "ends":
                del self._copies[connection]
                connection.close()
                is_over = copy.ends()
                if why := told[0] or ("" if is_over else f"a thread of it did not end\n{copy.stacks}"):
                    self._fail(session, f"the end of copy {copy.number}", why)
            case _:
                session.shouldstop = told[0]

    def _report(self, session: pytest.Session, item: int, *reports: pytest.TestReport) -> None:
        one, hook = session.items[item], session.config.hook
        hook.pytest_runtest_logstart(nodeid=one.nodeid, location=one.location)
        for report in reports:
            hook.pytest_runtest_logreport(report=report)
        hook.pytest_runtest_logfinish(nodeid=one.nodeid, location=one.location)

    def _replace(self, session: pytest.Session, copy: "_Copy") -> None:
        """A copy is dead: the test that it ran has failed, another copy runs the others."""
        del self._copies[copy.connection]
        copy.connection.close()
        how = copy.wait()
        if not copy.has:
            self._fail(session, f"the end of copy {copy.number}", f"it ended with {how}, between two files")
            return
        item = copy.has.popleft()
        one = session.items[item]
        said = f"copy {copy.number} ended with {how} while it ran this test"
        self._report(session, item, _failed(one.nodeid, one.location, said))
        if copy.has:
            self._left.appendleft(list(copy.has))
        if self._left:
            self._begin(session, copy.number)

    def _fail(self, session: pytest.Session, what: str, why: str) -> None:
        session.config.hook.pytest_runtest_logreport(report=_failed(what, (what, None, what), why))


def _failed(nodeid: str, location: tuple[str, int | None, str], why: str) -> pytest.TestReport:
    return pytest.TestReport(nodeid, location, {}, "failed", why, "call")


class _Copy:
    """A process, as the one that it is a copy of knows it. ``has``: what is left of the file that it has."""

    def __init__(self, which: int, pid: int, connection: Connection, stacks: int) -> None:
        """``stacks``: the file where it writes what its threads do, when it is asked for that."""
        self.number = which
        self.connection = connection
        self.stacks = ""  # of one that did not end by itself
        self._stacks = stacks
        self.has: deque[int] = deque()
        self._pid = pid

    def interrupt(self) -> None:
        """Ends it, whatever it is in the middle of."""
        os.kill(self._pid, signal.SIGINT)
        self.ends()

    def ends(self) -> bool:
        """Whether it ends by itself; else, as where a thread never does, it says what its threads do, and is
        killed."""
        if self._has_ended():
            return True
        os.kill(self._pid, _TELLS_STACKS)
        if self._has_ended(lambda: os.fstat(self._stacks).st_size > 0):
            return True
        size = os.fstat(self._stacks).st_size
        self.stacks = os.pread(self._stacks, size, 0).decode(errors="replace")
        os.kill(self._pid, signal.SIGKILL)
        self.wait()
        return False

    def _has_ended(self, or_else: Callable[[], bool] = lambda: False) -> bool:
        """Waits for its end, or something else, but not for long; whether it has ended."""
        for _ in range(_LOOKS):
            if os.waitpid(self._pid, os.WNOHANG)[0]:
                return True
            is_over = or_else()
            time.sleep(_LOOK_SECONDS)
            if is_over:
                break
        return False

    def wait(self) -> int:
        """How it ended."""
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])


class _Between(pytest.Item):
    """What comes behind the tests of a file: what is of the session stays."""

    def runtest(self) -> None: ...


class _Telling:
    """The plug-in of a copy, in place of the one that writes to the terminal."""

    def __init__(self, config: pytest.Config, connection: Connection) -> None:
        self._tw = config.get_terminal_writer()  # where plug-ins look for it
        self._config = config
        self._connection = connection
        self.reports: list[Any] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        told = self._config.hook.pytest_report_to_serializable(config=self._config, report=report)
        self.reports.append(told)

    def pytest_warning_recorded(
        self, warning_message: warnings.WarningMessage, when: str, nodeid: str, location: Any
    ) -> None:
        text = f"{warning_message.category.__name__}: {warning_message.message}"
        where = {"when": when, "nodeid": nodeid, "location": location}
        self._connection.send(("warns", text, warning_message.filename, warning_message.lineno, where))


def _be_a_copy(session: pytest.Session, connection: Connection, which: int, parent: int) -> NoReturn:
    global number  # noqa: PLW0603 # fixtures ask for it
    number = which
    code = 1
    try:
        dies_with_its_parent(signal.SIGKILL, parent)
        _run(session, connection, which)
        code = 0
    except (KeyboardInterrupt, EOFError, ConnectionError):
        pass  # nobody wants to know any more
    except BaseException as error:  # noqa: BLE001 # pytest.exit is one
        with contextlib.suppress(OSError):
            connection.send(("stops", "".join(traceback.format_exception(error))))
    try:
        session.config._ensure_unconfigure()  # pyright: ignore
        threading._shutdown()  # pyright: ignore # waits for threads, as there is no other way to
        atexit._run_exitfuncs()  # pyright: ignore
    except BaseException:  # noqa: BLE001 # it ends in any case
        traceback.print_exc()
        code = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # to take apart what all copies share would write to it


def _run(session: pytest.Session, connection: Connection, which: int) -> None:
    """Runs what it is given until there is nothing more."""
    manager = session.config.pluginmanager
    capture: Any = manager.get_plugin("capturemanager")
    capture.stop_global_capturing()  # into a file that all copies share
    capture.start_global_capturing()
    capture.suspend_global_capture()
    telling = _Telling(session.config, connection)
    manager.unregister(name="terminalreporter")
    manager.register(telling, "terminalreporter")
    folders = _folders(session)
    folders._basetemp = folders.getbasetemp() / f"copy-{which}"  # pyright: ignore
    folders._basetemp.mkdir(0o700, exist_ok=True)  # pyright: ignore
    between = _Between.from_parent(session, name="between")  # pyright: ignore[reportUnknownMemberType]
    while given := _asked_for(connection):
        for item, then in pairwise([*given, None]):
            one, next_one = session.items[item or 0], between if then is None else session.items[then]
            session.config.hook.pytest_runtest_protocol(item=one, nextitem=next_one)
            connection.send(("ran", item, telling.reports))
            telling.reports = []
            if session.shouldfail or session.shouldstop:
                return  # all has been taken apart, and told
    why = ""
    try:
        session._setupstate.teardown_exact(None)  # pyright: ignore # what is of the session
    except Exception as error:  # noqa: BLE001 # whatever it is, it is told
        why = "".join(traceback.format_exception(error))
    connection.send(("ends", why))


def _asked_for(connection: Connection) -> Sequence[int]:
    """The tests of another file; none: there is no other."""
    connection.send(("asks",))
    return connection.recv()


def _folders(session: pytest.Session) -> pytest.TempPathFactory:
    return session.config._tmp_path_factory  # pyright: ignore
