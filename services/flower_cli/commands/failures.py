"""Failed tasks in words: each error once, with the frames of people's own code, and all attempts."""

import re
from collections.abc import Iterator
from typing import Any

import msgspec
from rich.text import Text

from flower_cli.commands import words
from flower_cli.console import out

_FRAME = re.compile(r'(?P<margin>[ |]*)  File "(?P<path>[^"]*)", line \d+')
_OF_OTHERS = re.compile(
    r"/(site-packages|dist-packages|flower_engine|flower_worker)/|/lib(64)?/python3[^/]*/|^<frozen"
)
_HEAD = "Traceback (most recent call last):"

Error = dict[str, Any]


def print_failure(task: dict[str, Any], *, whole: bool) -> None:
    """A task that failed for good; ``whole``: with the frames of libraries and of Flower, too."""
    error = task["error"] or {"type": "?", "message": ""}
    head = Text(f"task {words.task_title(task)} failed, attempt {task['attempt']}: ", "red bold")
    out.print(head.append(_sentence(error), style="red"))
    print_traceback(error, whole=whole)
    print_attempts(task["attempts"], said=error)


def print_attempts(attempts: list[dict[str, Any]], said: Error | None = None) -> None:
    """A line for each attempt, with its error where that is another than the one that was said already."""
    for attempt in attempts:
        error = attempt["error"]
        ended = words.clock(attempt["endedTs"])
        line = Text(
            f"  attempt {attempt['attempt']}  {words.clock(attempt['startedTs']):<12} - {ended:<12}", "dim"
        )
        who = (
            f"on {attempt['worker']}" if attempt["worker"] else f"by {attempt['by']}" if attempt["by"] else ""
        )
        line.append(f"  {attempt['how']:<9} {who}".rstrip())
        if attempt.get("round"):
            line.append(f"  round {attempt['round']} asked for, with {_json(attempt['given'])}")
        if error and not (said and _sentence(error) == _sentence(said)):
            line.append(f"  {words.error_line(error)}", style="red")
        out.print(line)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def print_traceback(error: Error, *, whole: bool) -> None:
    """The traceback without its last line, which is the error itself."""
    traceback = str(error.get("traceback") or "").rstrip()
    left_out = 0
    if not whole:
        traceback, left_out = people_frames(traceback)
    traceback = traceback.removesuffix(_sentence(error)).rstrip()
    if traceback:
        out.print(Text(traceback, style="dim"))
    if left_out:
        out.print(Text(f"  (frames of libraries left out: {left_out}; --traceback shows them)", style="dim"))


def people_frames(traceback: str) -> tuple[str, int]:
    """The traceback without the frames of libraries, of Python and of Flower; and how many these are."""
    kept: list[str] = []
    left_out = 0
    for frame in _frames(traceback):
        found = _FRAME.match(frame[0])
        if found and _OF_OTHERS.search(found["path"]):
            left_out += 1
        else:
            kept += frame
    return "\n".join(_without_bare_heads(kept)), left_out


def _frames(traceback: str) -> Iterator[list[str]]:
    """The lines of each frame together; every other line by itself."""
    frame: list[str] = []
    within = ""  # what the lines of the frame's source begin with
    for line in traceback.splitlines():
        if frame and line.startswith(within):
            frame.append(line)
            continue
        if frame:
            yield frame
            frame = []
        if found := _FRAME.match(line):
            frame, within = [line], f"{found['margin']}    "
        else:
            yield [line]
    if frame:
        yield frame


def _without_bare_heads(lines: list[str]) -> Iterator[str]:
    """Of errors all of whose frames were left out, the heading has nothing to say."""
    for line, after in zip(lines, [*lines[1:], ""], strict=False):
        if not line.endswith(_HEAD) or _FRAME.match(after):
            yield line


def _sentence(error: Error) -> str:
    return f"{error['type']}: {error['message']}" if error["message"] else str(error["type"])
