"""What can be said of a task: one list of fields, which definitions, plans and events carry whole.

A new field is added here. `docs/adding.md` says what else it touches and which test asks for it.
"""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

MAX_TASKS = 10_000
MAX_NAME_LENGTH = 256
MIN_PRIORITY, MAX_PRIORITY = -20, 19
DEFAULT_QUEUE = "default"
WAIT_MARK = "@"  # programs of tasks that no worker runs begin with it, and no others
MAX_ATTEMPTS = 1_000_000
MAX_UNITS = 1_000_000
DEFAULT_ROUNDS = 1_000
MAX_ROUNDS = 10_000  # of all loops of a flow together: each round is events of its history
TASK_NAME_PATTERN = r"[A-Za-z_][A-Za-z0-9_]{0,127}"
MAX_TASK_SEQ = 2**53 - 1  # whole numbers up to here survive every JSON reader
MAX_DURATION_MS = 10 * 366 * 86_400_000  # ten years: longer is a slip of the pen, and scores stay exact

# These describe; nothing is refused by them. What is out of bounds is refused with its row's name, when the
# workflow is checked as a whole (``plan_flow``).
Name = Annotated[str, Meta(extra_json_schema={"minLength": 1, "maxLength": MAX_NAME_LENGTH})]
Duration = Annotated[int, Meta(extra_json_schema={"exclusiveMinimum": 0, "maximum": MAX_DURATION_MS})]


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What follows when an attempt fails; without one the first failure suspends the task.

    After failure n (counted since the task last began from the start) the next attempt waits
    ``min(delay_ms * backoff ** (n - 1), max_delay_ms)``, made longer or shorter by up to the share
    ``jitter`` (0..1) of it. Where nobody set ``max_delay_ms`` it is :func:`longest_delay`. ``no_retry_on``
    names error types, of which subclasses are too, that suspend at once:
    ``ValueError`` or ``package.module.TheirError``.
    """

    max_attempts: int = 1
    delay_ms: int = 1_000
    backoff: float = 2.0
    max_delay_ms: int = 300_000
    jitter: float = 0.1
    no_retry_on: tuple[str, ...] = ()


def longest_delay(delay_ms: int) -> int:
    """``max_delay_ms`` where nobody set it: the default, or the first delay if that is longer."""
    return max(RetryPolicy().max_delay_ms, delay_ms)


class TaskSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A node of the DAG: what people say of it.

    ``depends_on`` holds task_seqs; None means the previous task_seq (the seed's rule), () no dependency. A
    plan has both numbers, and its dependencies and ``when`` are those of the flow (``seq``).
    """

    # In the order of the JSON of ``flow.registered``. Descriptions are those of the HTTP API.
    seq: int = 0  # of a plan: 1..n in the order of task_seq; a definition has none
    task_seq: Annotated[int, Meta(extra_json_schema={"minimum": -MAX_TASK_SEQ, "maximum": MAX_TASK_SEQ})]
    task_name: Annotated[
        str | None,
        Meta(
            description="an identifier, unique in the workflow; whatever takes a task takes it, too",
            extra_json_schema={"pattern": f"^{TASK_NAME_PATTERN}$"},
        ),
    ] = None
    program: Name
    priority: Annotated[int, Meta(extra_json_schema={"minimum": MIN_PRIORITY, "maximum": MAX_PRIORITY})] = 0
    queue: Name = DEFAULT_QUEUE
    depends_on: Annotated[
        tuple[int, ...] | None,
        Meta(description="taskSeqs, or names; absent or null: the previous taskSeq, []: none"),
    ] = None
    when: Annotated[
        tuple[int, bool] | None,
        Meta(
            description="of a branch: taskSeq or name of the decision (program @when), and what it must say"
        ),
    ] = None
    parameters: Annotated[dict[str, Any], Meta(description="of any JSON type")] = {}
    retry: Annotated[RetryPolicy | None, Meta(description="null: the first failure suspends")] = None
    timeout_ms: Annotated[Duration | None, Meta(description="of one attempt, start to finish")] = None
    queue_timeout_ms: Annotated[Duration | None, Meta(description="from ready to start")] = None
    units: Annotated[
        int,
        Meta(
            description="how much it counts against limits while it runs",
            extra_json_schema={"minimum": 1, "maximum": MAX_UNITS},
        ),
    ] = 1
    max_rounds: Annotated[
        int,
        Meta(
            description="how often its program may ask for another round of it (raise Again)",
            extra_json_schema={"minimum": 1, "maximum": MAX_ROUNDS},
        ),
    ] = DEFAULT_ROUNDS
    rule: Annotated[
        str,
        Meta(
            description="when it starts, by how its dependencies end: ready, finished, settled, any,"
            " at_least:<k>, failed; any:cancel and at_least:<k>:cancel cancel what led to it alone, then",
            extra_json_schema={
                "pattern": "^(ready|finished|settled|(any|at_least:[1-9][0-9]*)(:cancel)?|failed)$"
            },
        ),
    ] = "ready"
    on_failure: Annotated[
        str,
        Meta(
            description="what follows its failure for good: hold (until somebody decides), hold:<time>"
            " (as 2h; kept in seconds) and then given up, give_up, pass; of a map that of each item, too",
            extra_json_schema={"pattern": "^(hold(:.+)?|give_up|pass)$"},
        ),
    ] = "hold"
    stand_in: Annotated[
        Any,
        Meta(
            description="with onFailure pass: what its readers get; absent or null: it has no result; of a"
            " map: what stands in the place of an item"
        ),
    ] = None
    finally_: Annotated[
        bool,
        Meta(
            description="it cleans up: a cancel and the flow's timeout spare it, and what only such tasks"
            " lead to, and the flow is ending until they are done; its rule is settled unless it says another"
        ),
    ] = msgspec.field(default=False, name="finally")
