"""What a partition's Redis holds at one moment, as plain data; the other side of every comparison."""

import msgspec

from flower_engine.model.tasks.status import Status


class LiveTask(msgspec.Struct, frozen=True, kw_only=True):
    """A task in its flow's hash; ``open`` is None where no count is kept (fewer than two dependencies).

    ``due_ms`` is when its retry or its ``round`` is due; None once it was. ``policy`` is the text of a
    ``TaskPolicy``.
    ``reads`` says whose results it reads (``kept_results.reads_text``), ``readers`` how many tasks are still
    to read its own, ``kept`` how the payload of that begins and how many bytes it is ("": none is kept),
    ``kept_bytes`` how many are counted. ``awaited`` stands for the lease of one that waits for the world
    (``wait_programs.Awaited``), ``wait`` is what the hash says of what it waits for, ``votes`` the names that
    have answered it. Of a flow with rules: the ``kind`` of its end, its ``rules`` (the text of
    ``TaskRules``), and its ``edges`` as ``lua/lib/edges.lua`` has them ("": it has heard of none).
    ``earlier`` are the numbers of earlier items of a map, if those that it is to get are matched with them.
    """

    status: Status = Status.WAIT
    attempt: int = 0
    lost: int = 0
    lease: str = ""
    due_ms: int | None = None
    lane: str = ""
    open: int | None = None
    failures: int = 0
    round: int = 0
    policy: str = ""
    reads: str = ""
    readers: int = 0
    kept: str = ""
    kept_bytes: int = 0
    awaited: str = ""
    wait: str = ""
    votes: tuple[str, ...] = ()
    kind: str = ""
    rules: str = ""
    edges: str = ""
    earlier: tuple[int, ...] | None = None


class LiveSignal(msgspec.Struct, frozen=True):
    """A signal that a flow keeps; name and key as keys have them."""

    name: str
    key: str
    id: str


class LiveFlow(msgspec.Struct, frozen=True, kw_only=True):
    """A flow's hash; ``tasks[seq - 1]`` is task ``seq``. ``flags``: see ``lua/lib/flow_fields.lua``.
    ``steps``: with how many tasks it was registered, and how many of these are final; None: it has no items.
    ``kept``: bytes of results that it keeps; None: no task of it reads another. ``signals``: those that it
    keeps, oldest first, ``signal_ids`` those of all that it ever got, ``signals_got`` how
    many it has counted, ``typed`` the tasks of
    which it says that they may take some of a certain type only, ``of_parent`` whose child it is
    (``ParentTask.text``), ``again`` which task asked for another round of it, in which attempt, by when."""

    version: int
    left: int
    done: int
    order: int
    flags: str
    timeout_ms: int
    cleanup_ms: int = 0
    tasks: list[LiveTask]
    active: int | None = None
    steps: tuple[int, int] | None = None
    kept: int | None = None
    of_schedule: str = ""
    signals: tuple[LiveSignal, ...] = ()
    signal_ids: frozenset[str] = frozenset()
    signals_got: int = 0
    typed: frozenset[int] = frozenset()
    of_parent: str = ""
    rounds: int = 0
    again: str = ""


class Waiting(msgspec.Struct, frozen=True):
    """A task in a lane."""

    flow: str
    task: int
    score: int


class Lease(msgspec.Struct, frozen=True):
    """An entry of a work stream; ``worker`` is None when it is pending for nobody."""

    lease: str
    flow: str
    task: int
    worker: str | None


class LiveSchedule(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule's hash. ``held``: the slot that waits for a flow. ``version`` 0: its definition is still to
    be brought."""

    version: int
    cursor: int
    state: str
    failures: int = 0
    held: int | None = None


class LiveState(msgspec.Struct, frozen=True, kw_only=True):
    """One partition at one moment: right behind the event at ``position`` ("": there is none).

    ``lanes`` by lane name; ``shares`` by share name and board: lane -> score; ``ready`` by queue and board:
    share -> score; ``leases`` by queue; ``timers``: member -> due ms, see ``lua/lib/timers.lua``;
    ``releasing``: (flow, task) whose dependents are still being released. Of flow control: ``aside``: lane ->
    board; ``boards``: board -> queues; ``open`` and ``reopen`` by queue: board -> score; ``limits`` and
    ``running`` by name, see ``lua/lib/limits.lua``; ``places`` and ``line`` by workflow: flow -> score.
    ``kept``: bytes of results that its flows keep. ``schedules`` by uid, ``due``: when a watcher is to look
    at each, ``slots_under_way``: by uid, their flows -> slot, or minus it (``lua/lib/scheduled.lua``).
    ``waits``: where signals find tasks that await them (``wait_programs.Awaited.member``). ``decide``: what
    somebody is to evaluate; ``decisions``: how many of them are counted.
    ``tree``: what is to be looked at of trees (``lua/lib/tree_notes.lua``). ``inside`` and ``outside``: by
    the window of a map the children that have a place, and those that wait for one -> their item
    (``lua/lib/child_windows.lua``). Names are as keys have them
    (escaped). ``unreadable``: a sentence for each key that is something else.
    """

    position: str = ""
    flows: dict[str, LiveFlow]
    ended: set[str]
    lanes: dict[str, list[Waiting]]
    shares: dict[str, dict[str, int]]
    ready: dict[str, dict[str, int]]
    leases: dict[str, list[Lease]]
    timers: dict[str, int]
    releasing: set[tuple[str, int]]
    aside: dict[str, str] = {}
    boards: dict[str, set[str]] = {}
    open: dict[str, dict[str, int]] = {}
    reopen: dict[str, dict[str, int]] = {}
    limits: dict[str, str] = {}
    running: dict[str, int] = {}
    places: dict[str, dict[str, int]] = {}
    line: dict[str, dict[str, int]] = {}
    admitting: set[str] = set()
    kept: int = 0
    schedules: dict[str, LiveSchedule] = {}
    due: dict[str, int] = {}
    slots_under_way: dict[str, dict[str, int]] = {}
    waits: set[str] = set()
    decide: set[str] = set()
    decisions: int = 0
    tree: set[str] = set()
    inside: dict[str, dict[str, int]] = {}
    outside: dict[str, dict[str, int]] = {}
    unreadable: list[str] = []
