"""Every Redis key of Flower, as Python names them; ``lua/lib/keys.lua`` is the other place that does.

All keys of a partition share the hash tag ``{flower:P}`` and so live on one cluster node.
``docs/keys.md`` explains each.
"""

from flower_engine.model.definition import PlannedTask

GROUP = "workers"


# "%" first; the others separate parts, in keys and in what ``call:<worker>`` remembers, or mark suspects.
_ESCAPED = "%:/, !*|@"


def escape(name: str) -> str:
    """A name as a part of a key: what separates parts is percent-encoded, so that parts stay apart."""
    for character in _ESCAPED:
        name = name.replace(character, f"%{ord(character):02X}")
    return name


def unescape(part: str) -> str:
    """The name that :func:`escape` was given."""
    for character in reversed(_ESCAPED):
        part = part.replace(f"%{ord(character):02X}", character)
    return part


def lane_name(queue: str, priority: int, workflow: str, program: str) -> str:
    """Where tasks that are alike for flow control wait: ``queue:priority:workflow:program``."""
    return f"{escape(queue)}:{priority}:{escape(workflow)}:{escape(program)}"


def lane_of(workflow: str, task: PlannedTask) -> str:
    """The lane where a task waits; ``lua/lib/lanes.lua`` takes its name apart."""
    share = escape(workflow) + (f"/{escape(task.fair_key)}" if task.fair_key else "")
    program = escape(task.program) + (f"*{task.units}" if task.units > 1 else "")
    if task.workflow_key or task.program_key:
        program += f"/{escape(task.workflow_key)}"
        program += f"/{escape(task.program_key)}" if task.program_key else ""
    return f"{escape(task.queue)}:{task.priority}:{share}:{program}"


def suspect_lane(lane: str) -> str:
    """The lane of tasks that may lose no further worker, beside another one; see ``lua/lib/suspects.lua``."""
    share, _, program = lane.rpartition(":")
    return f"{share}:!{program}"


class Keys:
    """The keys of one partition."""

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.prefix = prefix = f"{{flower:{partition}}}:"
        self.meta = prefix + "meta"
        self.log = prefix + "log"
        self.fanout = prefix + "fanout"
        self.awaited = prefix + "awaited"
        self.queues = prefix + "queues"
        self.workers = prefix + "workers"
        self.suspects = prefix + "suspects"
        self.endings = prefix + "endings"
        self.timers = prefix + "timers"
        self.keyed = prefix + "keyed"
        self.limits = prefix + "limits"
        self.running = prefix + "running"
        self.boards = prefix + "boards"
        self.aside = prefix + "aside"
        self.served = prefix + "served"

    def flow(self, flow_id: str) -> str:
        return f"{self.prefix}flow:{flow_id}"

    def ended(self, flow_id: str) -> str:
        return f"{self.prefix}ended:{flow_id}"

    def key(self, idempotency_key: str) -> str:
        return f"{self.prefix}key:{idempotency_key}"

    def op(self, operation: str) -> str:
        return f"{self.prefix}op:{operation}"

    def work(self, queue: str) -> str:
        return f"{self.prefix}work:{escape(queue)}"

    def ready(self, queue: str) -> str:
        return f"{self.prefix}ready:{escape(queue)}"

    def share(self, queue: str, priority: int, workflow: str) -> str:
        return f"{self.prefix}share:{escape(queue)}:{priority}:{escape(workflow)}"

    def lane(self, name: str) -> str:
        """The lane of this :func:`lane_name`."""
        return f"{self.prefix}lane:{name}"

    def rate(self, limit: str) -> str:
        """When what started under a limit, by its name in ``lua/lib/limits.lua``."""
        return f"{self.prefix}rate:{limit}"

    def open(self, queue: str) -> str:
        return f"{self.prefix}open:{escape(queue)}"

    def reopen(self, queue: str) -> str:
        return f"{self.prefix}reopen:{escape(queue)}"

    def split(self, queue: str) -> str:
        return f"{self.prefix}split:{escape(queue)}"

    def flows(self, workflow: str) -> str:
        return f"{self.prefix}flows:{escape(workflow)}"

    def new(self, workflow: str) -> str:
        return f"{self.prefix}new:{escape(workflow)}"

    def turns(self, queue: str) -> str:
        return f"{self.prefix}turns:{escape(queue)}"

    def bell(self, queue: str, program: str) -> str:
        return f"{self.prefix}bell:{escape(queue)}:{escape(program)}"

    def worker(self, worker: str) -> str:
        return f"{self.prefix}worker:{worker}"

    def programs(self, digest: str) -> str:
        return f"{self.prefix}programs:{digest}"

    def call(self, worker: str) -> str:
        return f"{self.prefix}call:{worker}"
