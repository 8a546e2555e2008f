"""A flow's DAG drawn as a tree: each task once, below its first dependency, or the decision whose branch it
is; elsewhere a reference to it."""

from collections.abc import Iterator
from typing import Any

from rich.text import Text

from flower_cli.commands import words
from flower_cli.commands.words import COLOURS, is_unicode, mark, why_it_waits
from flower_engine.model.waits.wait_parameters import MAP

_UNICODE = ("├─ ", "└─ ", "│  ", "   ", "↓ ")
_ASCII = ("|- ", "`- ", "|  ", "   ", "v ")
_DEEPEST_INDENT = 36  # characters; a flow that branches again and again must not run out of the page

Task = dict[str, Any]


def tree_lines(tasks: list[Task]) -> Iterator[Text]:
    """The lines of the tree; chains go straight down. Items of maps are not drawn, their map says how many
    there are. Cost is linear in tasks and dependencies."""
    by_seq = {task["taskExecSeq"]: task for task in tasks if task.get("itemOf") is None}
    below: dict[int, list[int]] = {seq: [] for seq in by_seq}
    for seq, task in by_seq.items():
        for dependency in task["dependsOn"]:
            below[dependency].append(seq)
    branch, last_branch, pipe, blank, down = _UNICODE if is_unicode() else _ASCII
    # A task, the one it is drawn below (0: none), what stands before it and before those below it.
    stack = [(seq, 0, "", "") for seq in reversed(by_seq) if not by_seq[seq]["dependsOn"]]
    while stack:
        seq, parent, before, indent = stack.pop()
        task = by_seq[seq]
        home = _home(task)
        if home != parent:
            yield Text(f"{before}{words.task_title(task)} (drawn below {home})", style="dim")
            continue
        yield Text(before, style="dim").append_text(_line(task))
        children = below[seq]
        if len(children) == 1 or len(indent) >= _DEEPEST_INDENT:
            stack += [(child, seq, indent + down, indent) for child in reversed(children)]
            continue
        for child in reversed(children):
            is_last = child == children[-1]
            own = indent + (last_branch if is_last else branch)
            stack.append((child, seq, own, indent + (blank if is_last else pipe)))


def _home(task: Task) -> int:
    """The task that it is drawn below; 0: none."""
    when = task.get("whenIs")
    depends_on: list[int] = task["dependsOn"]
    return int(when[0]) if when and when[0] in depends_on else min(depends_on, default=0)


def _line(task: Task) -> Text:
    status = task["status"]
    text = Text(style="")
    text.append(f"{mark(status)} ", style=COLOURS.get(status, ""))
    text.append(f"{words.task_title(task)} ")
    text.append(status, style=COLOURS.get(status, ""))
    if (child := task.get("childFlowId")) and status != "Wait":
        text.append(f" by flow {child}", style="dim")
    if task.get("round"):
        text.append(f" round {task['round']}", style="dim")
    elif task["attempt"] > 1 and task["program"] != MAP:  # a map that is made and gathered has not failed
        text.append(f" attempt {task['attempt']}", style="dim")
    if progress := task.get("progress"):
        fraction = progress["fraction"]
        share = "" if fraction is None else f" {fraction:.0%}"
        text.append(f"{share} {progress['note']}".rstrip(), style="yellow")
    if status == "Suspend":
        # Only its type: the whole of it follows the tree.
        text.append(f"  {(task['error'] or {'type': ''})['type']}".rstrip(), style="red")
    if end := words.end_of_task(task):
        text.append(f"  {end}", style="dim")
    elif reason := why_it_waits(task["waitReason"]):
        text.append(f"  {reason}", style="dim")
    elif items := words.items(task):
        text.append(f"  {items}", style="dim")
    return text
