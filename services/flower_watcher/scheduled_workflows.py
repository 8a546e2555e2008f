"""What watchers know of schedules beside Redis: definitions too long for it, and pauses to be written."""

import msgspec

from flower_engine.projection.definitions.schedule_rows import ScheduledWorkflow


class Failed(msgspec.Struct, frozen=True):
    """A schedule that is to be paused, as its flows failed so often in a row; and its version then."""

    version: int
    reason: str


class Shared:
    """What the loops of a watcher tell each other. ``workflows`` by uid of a schedule; ``failed`` by uid;
    ``waits``: the flow that a strict schedule waits for, by uid."""

    def __init__(self) -> None:
        self.workflows: dict[str, ScheduledWorkflow] = {}
        self.failed: dict[str, Failed] = {}
        self.waits: dict[str, str] = {}
