"""Names of lanes: where ready tasks wait that are alike for flow control.

    <queue>:<priority>:<workflow>[/<fair key>]:[!]<program>[@<versions>][*<units>]
        [/<workflow's key>[/<program's key>[/<window>]]]

The window is that of the map whose item a task is (``model/flow_control/map_windows.py``).
``@`` stands before that of a task that waits for the world, which is in no lane: its name says what others
say of their tasks all the same.

Up to the last ``:`` it is the lane's share. Nothing else in Python makes such a name or takes one apart; in
Lua it is ``lua/lib/lanes.lua``.
"""

import re
from functools import lru_cache
from typing import NamedTuple

from flower_engine.model.definitions.definition import PlannedTask, TaskKeys
from flower_engine.model.values.key_parts import escape, unescape
from flower_engine.model.waits.wait_programs import is_wait

_LANE = re.compile(
    r"(@?)([^:]*):([^:]*):([^:/]*)(?:/([^:]*))?:(!?)([^:*/@]*)(?:@([^:*/]+))?"
    r"(?:\*(\d+))?(?:/([^/]*))?(?:/([^/]*))?(?:/(.*))?",
    re.DOTALL,
)
_SUSPECT = "!"
_KEPT_FROM = "@"
_OF_THE_WORLD = "@"


class Lane(NamedTuple):
    """What a lane's name says; names as people gave them. ``is_suspect``: of tasks that may lose no further
    worker, see ``lua/lib/suspects.lua``. ``kept_from``: of tasks that these versions of their program refuse,
    by digest, see ``lua/lib/misfits.lua``. ``is_wait``: of tasks that no worker runs
    (``lua/lib/waits.lua``)."""

    queue: str
    priority: int
    workflow: str
    fair_key: str
    is_suspect: bool
    program: str
    units: int
    workflow_key: str
    program_key: str
    kept_from: tuple[str, ...] = ()
    is_wait: bool = False
    window: str = ""

    @property
    def name(self) -> str:
        """The lane's name; the other side of :func:`parse_lane`."""
        share = _share(self.queue, self.priority, self.workflow, self.fair_key)
        program = _SUSPECT * self.is_suspect + escape(self.program)
        kept_from = _KEPT_FROM + ".".join(self.kept_from) if self.kept_from else ""
        mark = _OF_THE_WORLD * self.is_wait
        keys = (self.workflow_key, self.program_key, self.window)
        return mark + share + program + kept_from + _last(self.units, *keys)


@lru_cache(4096)
def parse_lane(name: str) -> Lane | None:
    """What the name says; None: it is not a name that Flower gives."""
    found = _LANE.fullmatch(name)
    if found is None:
        return None
    mark, queue, priority, workflow, fair_key, suspect, program, kept_from, *rest = found.groups("")
    units, workflow_key, program_key, window = rest
    try:
        rank = int(priority)
    except ValueError:
        return None
    return Lane(
        unescape(queue),
        rank,
        unescape(workflow),
        unescape(fair_key),
        suspect == _SUSPECT,
        unescape(program),
        int(units or 1),
        unescape(workflow_key),
        unescape(program_key),
        tuple(kept_from.split(".")) if kept_from else (),
        mark == _OF_THE_WORLD,
        window,
    )


def lane_of(workflow: str, task: PlannedTask) -> str:
    """The lane where a task waits."""
    share = _share(task.queue, task.priority, workflow, task.fair_key)
    if is_wait(task.program):
        share = _OF_THE_WORLD + share
    keys = (task.workflow_key, task.program_key, task.window)
    return share + escape(task.program) + _last(task.units, *keys)


def key_parts(keys: TaskKeys) -> tuple[str, str, str]:
    """The keys as ``rerun.lua`` puts them into the name of a lane: fair key, workflow's, program's."""
    return escape(keys.fair_key), escape(keys.workflow_key), escape(keys.program_key)


def suspect_lane(name: str) -> str:
    """The lane of suspects beside another one."""
    share, _, program = name.rpartition(":")
    return f"{share}:{_SUSPECT}{program}"


def plain_lane(name: str) -> str:
    """The lane without what became of its tasks' attempts: no suspects, and kept from no version."""
    lane = parse_lane(name)
    return name if lane is None else lane._replace(is_suspect=False, kept_from=()).name


def program_of_lane(program: str) -> str:
    """The program, as people gave it, of what a lane's name has in its place: with its marks."""
    return unescape(program.lstrip(_SUSPECT).partition(_KEPT_FROM)[0])


def share_of_lane(name: str) -> str:
    """The share of a lane, as keys have it."""
    return name.rpartition(":")[0]


def queue_of(lane: str) -> str:
    """The queue of a lane or share, as keys have it."""
    return lane.partition(":")[0]


def queue_and_priority(share: str) -> tuple[str, int]:
    """Those of a share or lane; the queue as keys have it.

    Raises:
        ValueError: it is not a name that Flower gives.
    """
    queue, priority, *_ = share.split(":")
    return queue, int(priority)


def _share(queue: str, priority: int, workflow: str, fair_key: str) -> str:
    fair = f"/{escape(fair_key)}" if fair_key else ""
    return f"{escape(queue)}:{priority}:{escape(workflow)}{fair}:"


def _last(units: int, workflow_key: str, program_key: str, window: str) -> str:
    """What follows the program."""
    last = f"*{units}" if units > 1 else ""
    if workflow_key or program_key or window:
        last += f"/{escape(workflow_key)}"
        last += f"/{escape(program_key)}" if program_key or window else ""
        last += f"/{window}" if window else ""
    return last
