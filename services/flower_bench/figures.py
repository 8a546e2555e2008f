"""What a workload finds: figures, what they cost, and the floor that they are read against."""

import msgspec

REFERENCE_FLOOR = 18_000.0
"""Messages a second that the floor makes where the targets hold as they stand."""


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One measured number. ``target`` holds at the reference floor; elsewhere scaled, if ``is_scaled``."""

    workload: str
    what: str
    value: float
    unit: str
    samples: int | None = None
    target: float | None = None
    higher_is_better: bool = True
    is_scaled: bool = True

    def target_here(self, factor: float) -> float | None:
        """The target where the floor is ``factor`` times the reference."""
        if self.target is None or not self.is_scaled:
            return self.target
        return self.target * factor if self.higher_is_better else self.target / factor

    def holds(self, factor: float) -> bool | None:
        """Whether the target is met; None: there is none."""
        target = self.target_here(factor)
        if target is None:
            return None
        return self.value >= target if self.higher_is_better else self.value <= target


class Cost(msgspec.Struct, frozen=True):
    """Microseconds of CPU a task (or flow, where none run) by role."""

    workload: str
    tasks: int
    us_per_task: dict[str, float]
    per: str = "task"


class Floor(msgspec.Struct, frozen=True):
    """What the two stores make without Flower, around one workload."""

    when: str
    messages_per_second: float
    rows_per_second: float


class Outcome(msgspec.Struct):
    """What is known of one workload, also where it broke off."""

    workload: str
    figures: list[Figure] = msgspec.field(default_factory=list)
    costs: list[Cost] = msgspec.field(default_factory=list)
    floors: list[Floor] = msgspec.field(default_factory=list)
    notes: list[str] = msgspec.field(default_factory=list)
    error: str | None = None
    seconds: float = 0.0
