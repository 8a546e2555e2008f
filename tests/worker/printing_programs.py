"""Programs that print, log and warn, in every way that there is."""

import asyncio
import contextlib
import ctypes
import io
import logging
import logging.config
import os
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from flower_engine import program

_library = logging.getLogger("some.library")


@program
async def interleave(mark: str, lines: int) -> None:
    for number in range(lines):
        sys.stdout.write(f"{mark} ")
        await asyncio.sleep(0)
        print("line", number)
        if number % 3 == 0:
            print(f"{mark} err {number}", file=sys.stderr)
        await asyncio.sleep(0)


def _say_everything() -> None:
    print("printed")
    print("to err", file=sys.stderr)
    _library.warning("logged %s\nin two lines", "well")
    _library.debug("too fine")
    warnings.warn("be careful", stacklevel=2)
    try:
        raise ValueError("inner")
    except ValueError:
        _library.exception("it failed")
    print("no end", end="")


@program
async def say_async() -> None:
    _say_everything()
    print()
    await asyncio.to_thread(print, "from a thread of asyncio")
    await asyncio.create_task(_later())


async def _later() -> None:
    print("from another task")


@program
def say_thread() -> None:
    _say_everything()


@program(kind="process")
def say_process() -> None:
    _say_everything()


@program
def in_threads(mark: str) -> None:
    """Threads of its own, and of a pool that lives on."""
    threads = [threading.Thread(target=_count, args=(f"{mark} thread {one}",)) for one in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    list(_POOL.map(_count, [f"{mark} pool {one}" for one in range(3)]))


_POOL = ThreadPoolExecutor(2)


def _count(mark: str) -> None:
    for number in range(20):
        print(mark, number)
        time.sleep(0)


def _print_from_c(text: bytes) -> None:
    library = ctypes.CDLL(None)
    library.printf(b"%s", text)


@program(kind="process")
def from_below(code: str) -> None:
    """C, a process, a copy, and the descriptors themselves."""
    print("from python")
    _print_from_c(b"from C\n")
    os.write(1, b"from os.write\n")
    os.write(2, b"to err from os.write\n")
    subprocess.run([sys.executable, "-c", code], check=True)
    pid = os.fork()
    if pid == 0:
        print("from a copy")
        return
    os.waitpid(pid, 0)
    _library.warning("logged at the end")
    _print_from_c(b"C without an end")


@program(kind="process")
def dies_loudly() -> None:
    print("its last words")
    _print_from_c(b"from C\n")
    os.abort()


@program(kind="process")
def takes_streams_away(how: str) -> None:
    _take_away(how)


@program
def takes_streams_away_on_a_thread(how: str) -> None:
    _take_away(how)


def _take_away(how: str) -> None:
    print("before")
    match how:
        case "close":
            sys.stdout.close()
            sys.stderr.close()
        case "replace":
            sys.stdout = sys.stderr = io.StringIO()
        case "none":
            sys.stdout = sys.stderr = None  # pyright: ignore[reportAttributeAccessIssue]
        case "descriptors":
            os.close(1)
            os.close(2)
        case "redirect":
            with contextlib.redirect_stdout(io.StringIO()):
                print("not to be seen")
            print("after")
        case _:
            raise ValueError(how)


@program
def odd(kind: str) -> None:
    """What is no text, on a thread."""
    _odd(kind)


@program(kind="process")
def odd_process(kind: str) -> None:
    _odd(kind)


def _odd(kind: str) -> None:
    out = sys.stdout.buffer
    match kind:
        case "nul":
            print("a\0b")
        case "half":
            out.write(b"half \xe8")
            out.flush()
            out.write(b"\x8a\xb1 whole\n")
            out.flush()
        case "invalid":
            out.write(b"bad \xff\xfe end\n")
            out.flush()
        case "surrogate":
            print("lone \ud800 surrogate")
        case "sign":
            os.write(1, b"\x1e0123456789abcdef[1,2\n\x1e")
        case "progress":
            for share in range(0, 101, 10):
                print(f"\r{share} %", end="", flush=True)
            print()
        case "long":
            print("x" * 1_000_000)
        case "records":
            for created in (1e300, 1e17, float("inf"), float("nan"), -5.0):
                record = logging.LogRecord("some.library", 30, "", 1, "odd time", (), None)
                record.created = created
                record.msecs = 0
                _library.handle(record)
        case _:
            raise ValueError(kind)
    print("end")


@program
def fork_on_a_thread() -> None:
    print("before")
    pid = os.fork()
    if pid == 0:
        for _ in range(100):
            print("in the copy")
        os._exit(0)
    os.waitpid(pid, 0)
    print("after")


@program
async def tell_secret(token: str) -> None:
    half = len(token) // 2
    print("split:", token[:half], end="")
    sys.stdout.write(token[half:] + "\n")
    sys.stdout.buffer.write(b"bytes: " + token.encode() + b"\n")
    _library.warning("logged: %s", token)
    print("x" * 16_380 + token)
    print("end")


@program(kind="process")
def tell_secret_process(token: str) -> None:
    print("printed:", token)
    os.write(2, b"written: " + token.encode() + b"\n")
    _library.warning("logged: %s", token)


@program
def prints_late(folder: str) -> None:
    """It leaves a thread that prints when the attempt has ended."""
    print("in time")

    def late() -> None:
        while not (Path(folder) / "go").exists():
            time.sleep(0.01)
        print("too late")
        (Path(folder) / "printed").touch()

    threading.Thread(target=late, daemon=True).start()


@program
async def prints_and_waits() -> None:
    for number in range(50):
        print("flushed", number)
    await asyncio.Event().wait()


def _flood(lines: int) -> None:
    line = "x" * 899
    for number in range(lines):
        print(number, line)


@program
def flood_thread(lines: int) -> None:
    _flood(lines)


@program(kind="process")
def flood_process(lines: int) -> None:
    _flood(lines)


@program
def flood_at_once(characters: int) -> None:
    sys.stdout.write(("y" * 99 + "\n") * (characters // 100))
    sys.stdout.write("z" * characters + "\n")
    print("end")


@program(kind="process")
def flood_from_below(lines: int) -> None:
    piece = b"".join(b"%d %s\n" % (number, b"x" * 79) for number in range(1000))
    for _ in range(lines // 1000):
        left = memoryview(piece)
        while left:  # a signal may cut a write short
            left = left[os.write(1, left) :]
    print("end")


@program
def sets_logging_up() -> None:
    logging.basicConfig(level="INFO", handlers=[logging.StreamHandler(sys.stderr)], force=True)
    _library.warning("still heard")


@program
async def takes_logging_away(how: str, fails: bool = True) -> None:
    match how:
        case "dictConfig":
            logging.config.dictConfig({"version": 1, "root": {"level": "ERROR", "handlers": []}})
        case "basicConfig":
            logging.basicConfig(level="CRITICAL", handlers=[logging.NullHandler()], force=True)
        case "disable":
            logging.disable(logging.CRITICAL)
        case "level":
            logging.getLogger().setLevel(logging.CRITICAL)
        case _:
            raise ValueError(how)
    if fails:
        raise ValueError(f"fails after {how}")


@program(kind="process")
def closes_and_prints() -> None:
    print("before")
    os.close(1)
    with contextlib.suppress(OSError):
        print("for nobody else")


@program
def breaks_in_logging() -> None:
    class Bad:
        def __str__(self) -> str:
            raise RuntimeError("no text")

    _library.warning("%s", Bad())
    _library.warning("%d", "no number")
    print("goes on")
