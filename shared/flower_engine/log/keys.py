"""Every Redis key of Flower, as Python names them; ``lua/lib/keys.lua`` is the other place that does.

All keys of a partition share the hash tag ``{flower:P}`` and so live on one cluster node.
``docs/keys.md`` explains each.
"""

from flower_engine.model.values.key_parts import escape

GROUP = "workers"


class Keys:
    """The keys of one partition."""

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.prefix = prefix = f"{{flower:{partition}}}:"
        self.meta = prefix + "meta"
        self.log = prefix + "log"
        self.fanout = prefix + "fanout"
        self.awaited = prefix + "awaited"
        self.nowhere = prefix + "nowhere"
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
        self.admitting = prefix + "admitting"
        self.waits = prefix + "waits"
        self.decide = prefix + "decide"
        self.tree = prefix + "tree"
        self.served = prefix + "served"
        self.schedules = prefix + "schedules"
        self.tasklog = prefix + "tasklog"

    def flow(self, flow_id: str) -> str:
        return f"{self.prefix}flow:{flow_id}"

    def sent(self, name: str) -> str:
        """Fields of a flow that were sent ahead; see ``transitions/sent_fields.py``."""
        return f"{self.prefix}sent:{name}"

    def schedule(self, uid: str) -> str:
        return f"{self.prefix}schedule:{uid}"

    def sflows(self, uid: str) -> str:
        """The flows of a schedule that have not ended; see ``lua/lib/scheduled.lua``."""
        return f"{self.prefix}sflows:{uid}"

    def ended(self, flow_id: str) -> str:
        return f"{self.prefix}ended:{flow_id}"

    def key(self, idempotency_key: str) -> str:
        return f"{self.prefix}key:{idempotency_key}"

    def op(self, operation: str) -> str:
        return f"{self.prefix}op:{operation}"

    def work(self, queue: str) -> str:
        return f"{self.prefix}work:{escape(queue)}"

    def ready(self, queue: str, board: str = "") -> str:
        """The shares of a board; see ``model/flow_control/boards.py``."""
        return f"{self.prefix}ready:{escape(queue)}{board}"

    def share(self, name: str, board: str = "") -> str:
        """The lanes that the share of this name has on a board; see ``model/flow_control/lanes.py``."""
        return f"{self.prefix}share:{name}{board}"

    def lane(self, name: str) -> str:
        """The lane of this name; see ``model/flow_control/lanes.py``."""
        return f"{self.prefix}lane:{name}"

    def rate(self, limit: str) -> str:
        """When what started under a limit, by its name; see ``model/flow_control/limits.py``."""
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

    def inside(self, window: str) -> str:
        """Children that have a place in the window of a map; see ``lua/lib/child_windows.lua``."""
        return f"{self.prefix}inside:{window}"

    def outside(self, window: str) -> str:
        """Children that wait for a place in the window of a map."""
        return f"{self.prefix}outside:{window}"

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
