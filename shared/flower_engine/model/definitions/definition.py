"""Workflow definitions: what a person writes, and the plan of a flow that follows from it."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from flower_engine.errors import DefinitionError, TooLargeError
from flower_engine.model.decisions.decision_tasks import problems_of_decisions
from flower_engine.model.definitions.child_flows import problems_of_subflow
from flower_engine.model.definitions.definition_header import problems_of_header
from flower_engine.model.definitions.definition_references import DefinitionReferences, Params, settled
from flower_engine.model.definitions.left_out import problems_of_zips
from flower_engine.model.definitions.map_chains import problems_of_chains, told_of_outcomes
from flower_engine.model.definitions.map_tasks import (
    AS,
    KEYS,
    common_parameters,
    mapped_program,
    problems_of_maps,
)
from flower_engine.model.definitions.rule_checks import problems_of_rules, rule_in_flows
from flower_engine.model.parameters.parameters_schema import ParametersSchema
from flower_engine.model.parameters.reference_forms import is_task_name
from flower_engine.model.parameters.references import known_value, scan_parameters
from flower_engine.model.partitions.pins import problem_of_pin
from flower_engine.model.tasks.task_spec import (
    MAX_ATTEMPTS,
    MAX_DURATION_MS,
    MAX_NAME_LENGTH,
    MAX_PRIORITY,
    MAX_ROUNDS,
    MAX_TASKS,
    MAX_UNITS,
    MIN_PRIORITY,
    WAIT_MARK,
    RetryPolicy,
    TaskSpec,
)
from flower_engine.model.values.quoting import short
from flower_engine.model.waits.wait_parameters import DECISION, MAP, SUBFLOW, problems_of_wait

MAX_EDGES = 100_000
MAX_KEY_LENGTH = 100


class TaskDefinition(TaskSpec, frozen=True, kw_only=True):
    """One row of ``ms_task_definition``."""


class TaskKeys(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What tells a task apart for flow control: for fairness, for its workflow's limit per key, and for its
    program's; "" where it has none."""

    fair_key: str = ""
    workflow_key: str = ""
    program_key: str = ""


class Keying(msgspec.Struct, frozen=True, kw_only=True):
    """Which parameters tell flows of a workflow apart for flow control: for fairness, for its limit per key,
    and for the limits per key of programs (program -> parameter)."""

    fair_by: str | None = None
    limit_by: str | None = None
    programs: dict[str, str] = {}

    def keys_of(self, program: str, parameters: Mapping[str, Any], *, refs: bool = False) -> TaskKeys:
        """The keys of a task of this program with these parameters; ``refs``: they hold references."""
        return TaskKeys(
            fair_key=_key_of(parameters, self.fair_by, refs),
            workflow_key=_key_of(parameters, self.limit_by, refs),
            program_key=_key_of(parameters, self.programs.get(program), refs),
        )

    def told_apart_by(self, workflow: str, program: str) -> dict[str, str]:
        """The parameters that give tasks of the program their keys, each with who says so."""
        found: dict[str, str] = {}
        if self.programs.get(program) is not None:
            found[self.programs[program]] = f"limit_by of program {program!r}"
        if self.limit_by is not None:
            found[self.limit_by] = f"limit_by of workflow {workflow!r}"
        if self.fair_by is not None:
            found[self.fair_by] = f"fair_by of workflow {workflow!r}"
        return found

    def keyed(self, task: "PlannedTask") -> "PlannedTask":
        """The task with its keys, from its parameters as they are."""
        if task.program == MAP:
            return self._keyed_map(task)
        fair_key = _key_of(task.parameters, self.fair_by, task.refs)
        workflow_key = _key_of(task.parameters, self.limit_by, task.refs)
        program_key = _key_of(task.parameters, self.programs.get(task.program), task.refs)
        if (fair_key, workflow_key, program_key) == (task.fair_key, task.workflow_key, task.program_key):
            return task
        return msgspec.structs.replace(
            task, fair_key=fair_key, workflow_key=workflow_key, program_key=program_key
        )

    def _keyed_map(self, task: "PlannedTask") -> "PlannedTask":
        """A map with the keys of its items, and which of these are their elements."""
        given = {name: one for name, one in task.parameters.items() if name != KEYS}
        program, others = mapped_program(given), common_parameters(given)
        by = (self.fair_by, self.limit_by, self.programs.get(program))
        names = [
            name for name, one in zip(TaskKeys.__struct_fields__, by, strict=True) if one == given.get(AS)
        ]
        return msgspec.structs.replace(
            task,
            parameters={**given, KEYS: names} if names else given,
            **msgspec.structs.asdict(self.keys_of(program, others, refs=task.refs)),
        )


class WorkflowDefinition(msgspec.Struct, frozen=True, kw_only=True):
    """A named DAG of task definitions, in any order; ``timeout_ms`` is that of a whole flow,
    ``cleanup_timeout_ms`` that of its cleanup (None: see ``cleanup.py``).

    ``parameters_schema`` is a JSON Schema of what flows take; None: they take what ``$param`` names.
    ``returns`` is what a flow returns, with references; None: nothing. ``pin``: see ``pins.py``.
    """

    name: str
    tasks: tuple[TaskDefinition, ...]
    timeout_ms: int | None = None
    cleanup_timeout_ms: int | None = None
    parameters_schema: dict[str, Any] | None = None
    returns: Any = None
    labels: dict[str, str] = {}
    description: str | None = None
    pin: str | None = None
    keying: Keying = Keying()


class PlannedTask(TaskSpec, frozen=True, kw_only=True, omit_defaults=True):
    """One node of a flow, as its first event carries it; ``seq`` and ``depends_on`` count 1..n.

    ``reads`` says whose results its references take: what ``$from`` says -> that producer's ``seq``, which is
    one of ``depends_on``, too. ``refs``: its parameters hold references, which its worker resolves; those of
    a task without are passed to its program as they are. ``definition`` is the hash of the version that its
    body is of, where a rerun gave it one; "": that of its flow.

    ``items`` of a map that is expanded: the first of its items, and how many they are; it depends on them,
    too; ``along``: the map whose items these go along (``map_chains.py``; 0: of none). ``item`` of an item:
    its map, and its index; ``item_key``: by which it is told apart from others, where the map says that;
    ``window``: what bounds the items of that (``map_windows.py``).
    """

    seq: int  # pyright: ignore[reportGeneralTypeIssues] # a definition has none, a plan always has it
    depends_on: tuple[int, ...] = ()
    fair_key: str = ""
    workflow_key: str = ""
    program_key: str = ""
    reads: dict[str, int] = msgspec.field(default_factory=dict)
    refs: bool = False
    definition: str = ""
    items: tuple[int, int] | None = None
    along: int = 0
    item: tuple[int, int] | None = None
    item_key: str = ""
    window: str = ""

    @property
    def own_dependencies(self) -> tuple[int, ...]:
        """What it depends on by its definition: of a map without its items."""
        if self.items is None:
            return self.depends_on
        first, count = self.items
        return tuple(seq for seq in self.depends_on if not first <= seq < first + count)

    def is_branch_of(self, seq: int) -> bool:
        """Whether the task of this number is the decision whose branch it is."""
        return self.when is not None and self.when[0] == seq


def plan_flow(definition: WorkflowDefinition) -> tuple[PlannedTask, ...]:
    """The tasks of a flow of this workflow, numbered 1..n in task_seq order.

    Cost is linear in tasks plus edges (and a sort of the tasks).

    Raises:
        TooLargeError: more than ``MAX_TASKS`` tasks or ``MAX_EDGES`` edges.
        DefinitionError: every problem found, each naming its row.
    """
    name, tasks = definition.name, sorted(definition.tasks, key=lambda task: task.task_seq)
    if not tasks:
        raise DefinitionError(name, ["it has no tasks"])
    if len(tasks) > MAX_TASKS:
        raise TooLargeError(name, [f"it has {len(tasks)} tasks; a flow may have {MAX_TASKS}"])
    _refuse_edges(name, sum(len(task.depends_on or ()) for task in tasks))
    problems = _problems_of_rows(name, tasks, definition.timeout_ms)
    problems += _problems_of_duration("its cleanup timeout", definition.cleanup_timeout_ms)
    in_header = problems_of_header(
        name, definition.parameters_schema, definition.labels, definition.description
    )
    problems += in_header
    if (problem := problem_of_pin(definition.pin)) is not None:
        problems.append(f"workflow {name!r}: {problem}")
    params = Params() if in_header else _params_of(definition)
    references = DefinitionReferences(name, tasks, definition.returns, params)
    problems += problems_of_decisions(name, tasks, params.secrets)
    problems += problems_of_maps(name, tasks, params.secrets)
    problems += problems_of_chains(name, tasks, references)
    problems += problems_of_zips(name, tasks)
    problems += references.problems(lambda program: definition.keying.told_apart_by(name, program))
    problems += problems_of_rules(name, tasks, references)
    if problems:
        raise DefinitionError(name, problems)
    number = {task.task_seq: index for index, task in enumerate(tasks, start=1)}
    planned = tuple(
        definition.keying.keyed(_planned(task, number, references, index)) for index, task in enumerate(tasks)
    )
    if any(task.program == MAP for task in planned):
        planned = tuple(_told_of_outcomes(task, planned) for task in planned)
    if references.has_edges or any(task.when for task in tasks):
        _refuse_edges(name, sum(len(task.depends_on) for task in planned))
    _refuse_cycles(name, planned)
    return planned


def _told_of_outcomes(task: PlannedTask, planned: Sequence[PlannedTask]) -> PlannedTask:
    """A map that goes along another one knows whether the list of that has more than results."""
    if task.program != MAP or len(task.reads) != 1:
        return task
    (over,) = task.reads.values()
    parameters = told_of_outcomes(task.parameters, planned[over - 1].parameters)
    return task if parameters == task.parameters else msgspec.structs.replace(task, parameters=parameters)


def _params_of(definition: WorkflowDefinition) -> Params:
    if definition.parameters_schema is None:
        return Params()
    schema = ParametersSchema(definition.parameters_schema)
    return Params(schema.properties.keys(), schema.secrets)


def _refuse_edges(name: str, edges: int) -> None:
    if edges > MAX_EDGES:
        raise TooLargeError(name, [f"it has {edges} dependencies; a flow may have {MAX_EDGES}"])


def with_parameters(task: PlannedTask, parameters: dict[str, Any]) -> PlannedTask:
    """The task with these parameters, which for one that has references are as they stand among such."""
    if not task.refs:
        return msgspec.structs.replace(task, parameters=parameters)
    now, refs = (parameters, True) if task.program == DECISION else settled(parameters)
    still = {use.form.name for use in scan_parameters(now).uses} if refs else set[str]()
    reads = {name: seq for name, seq in task.reads.items() if name in still}
    return msgspec.structs.replace(task, parameters=now, refs=refs, reads=reads)


def dependents_of(tasks: Sequence[PlannedTask]) -> list[list[int]]:
    """For each task 1..n (index 0 is unused) the tasks that wait for it, ascending."""
    dependents: list[list[int]] = [[] for _ in range(len(tasks) + 1)]
    for task in tasks:
        for dependency in task.depends_on:
            dependents[dependency].append(task.seq)
    return dependents


def _planned(
    task: TaskDefinition, number: dict[int, int], references: DefinitionReferences, index: int
) -> PlannedTask:
    seq = number[task.task_seq]
    if task.depends_on is None:
        depends_on = (seq - 1,) if seq > 1 else ()
    else:
        depends_on = tuple(sorted(number[other] for other in task.depends_on))
    said = msgspec.structs.asdict(task)
    said["rule"] = rule_in_flows(task)
    if task.when is not None:
        said["when"] = when = (number[task.when[0]], task.when[1])
        depends_on = tuple(sorted({*depends_on, when[0]}))
    if not references.of_tasks[index].is_plain:
        reads = {name: number[producer] for name, producer in references.producers(index).items()}
        depends_on = tuple(sorted({*depends_on, *reads.values()}))
        if task.program == DECISION:  # its condition stays a tree, whatever is known of it
            said["refs"] = True
        else:
            said["parameters"], said["refs"] = settled(task.parameters)
        said["reads"] = reads
    said["seq"], said["depends_on"] = seq, depends_on
    return PlannedTask(**said)


def _key_of(parameters: Mapping[str, Any], parameter: str | None, refs: bool) -> str:
    """The parameter's value as a key; "" where there is none, or it is not known yet."""
    value = None if parameter is None else parameters.get(parameter)
    if refs and isinstance(value, dict | list):
        value = known_value(value)
    return key_of_value(value)


def key_of_value(value: Any) -> str:
    """A value as a key; a long one is told by its hash."""
    if value is None or value == "":
        return ""
    text = value if isinstance(value, str) else msgspec.json.encode(value, order="sorted").decode()
    if len(text) <= MAX_KEY_LENGTH:
        return text
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _problems_of_bounds(task: TaskDefinition) -> Iterator[str]:
    if not MIN_PRIORITY <= task.priority <= MAX_PRIORITY:
        yield f"has priority {task.priority}, outside {MIN_PRIORITY}..{MAX_PRIORITY}"
    if not 1 <= task.units <= MAX_UNITS:
        yield f"weighs {task.units} units, outside 1..{MAX_UNITS}"
    if not 1 <= task.max_rounds <= MAX_ROUNDS:
        yield f"has max_rounds {task.max_rounds}, outside 1..{MAX_ROUNDS}"


def _problems_of_rows(name: str, tasks: Sequence[TaskDefinition], flow_timeout_ms: int | None) -> list[str]:
    problems: list[str] = []
    if not _is_name(name):
        problems.append(f"its name must be 1 to {MAX_NAME_LENGTH} characters without control characters")
    elif name.endswith("/"):
        problems.append("its name must not end in a slash: paths of the API could not name it")
    problems.extend(_problems_of_duration("its flow timeout", flow_timeout_ms))
    seen: set[int] = set()
    names: dict[str, int] = {}
    known = {task.task_seq for task in tasks}
    for task in tasks:
        row = f"row (task_id {name!r}, task_seq {task.task_seq})"
        if task.task_seq in seen:
            problems.append(f"{row} stands twice")
        seen.add(task.task_seq)
        if task.task_name is not None:
            problems.extend(f"{row} {problem}" for problem in _problems_of_name(task, task.task_name, names))
        if not _is_name(task.program):
            problems.append(f"{row} names no program (1 to {MAX_NAME_LENGTH} characters)")
        elif task.program.startswith(WAIT_MARK):
            problems.extend(f"{row} {problem}" for problem in problems_of_wait(task))
            if task.program == SUBFLOW:
                problems.extend(f"{row} {problem}" for problem in problems_of_subflow(task))
        if not _is_name(task.queue):
            problems.append(f"{row} names no queue (1 to {MAX_NAME_LENGTH} characters)")
        problems.extend(f"{row} {problem}" for problem in _problems_of_bounds(task))
        problems.extend(_problems_of_dependencies(row, task, known))
        problems.extend(_problems_of_duration(f"{row}: its timeout", task.timeout_ms))
        problems.extend(_problems_of_duration(f"{row}: its queue timeout", task.queue_timeout_ms))
        if task.retry is not None:
            problems.extend(f"{row}: {problem}" for problem in _problems_of_retry(task.retry))
    return problems


def _problems_of_name(task: TaskDefinition, name: str, names: dict[str, int]) -> Iterator[str]:
    """What is wrong with the task's name; ``names``: those of the tasks before, with their task_seqs."""
    if not is_task_name(name):
        yield (
            f"has the name {short(name)!r}; a name is letters, digits and underscores, 128 at most,"
            " and does not begin with a digit"
        )
    elif names.setdefault(name, task.task_seq) != task.task_seq:
        yield f"has the name {name!r}, which is that of task_seq {names[name]}"


def _problems_of_duration(what: str, duration_ms: int | None) -> list[str]:
    if duration_ms is None or 0 < duration_ms <= MAX_DURATION_MS:
        return []
    return [f"{what} is {duration_ms / 1000:g} s; it must be more than 0 and at most ten years"]


def _problems_of_retry(retry: RetryPolicy) -> list[str]:
    problems: list[str] = []
    if not 1 <= retry.max_attempts <= MAX_ATTEMPTS:
        problems.append(f"max_attempts is {retry.max_attempts}, outside 1..{MAX_ATTEMPTS}")
    for what, delay_ms in (("retry delay", retry.delay_ms), ("longest retry delay", retry.max_delay_ms)):
        if not 0 <= delay_ms <= MAX_DURATION_MS:
            problems.append(f"its {what} is {delay_ms / 1000:g} s; it must be 0 to ten years")
    if retry.delay_ms > retry.max_delay_ms:
        problems.append(
            f"its retry delay, {retry.delay_ms / 1000:g} s, is longer than the longest that it may wait,"
            f" {retry.max_delay_ms / 1000:g} s: raise that, or leave it out"
        )
    if not 1 <= retry.backoff <= 1_000:
        problems.append(f"its retry backoff is {retry.backoff:g}, outside 1..1000")
    if not 0 <= retry.jitter <= 1:
        problems.append(f"its retry jitter is {retry.jitter:g}, outside 0..1")
    if not all(_is_name(kind) for kind in retry.no_retry_on):
        problems.append("no_retry_on must name error types")
    return problems


def _problems_of_dependencies(row: str, task: TaskDefinition, known: set[int]) -> list[str]:
    problems: list[str] = []
    given = task.depends_on or ()
    if len(set(given)) != len(given):
        problems.append(f"{row} repeats a dependency")
    for dependency in given:
        if dependency == task.task_seq:
            problems.append(f"{row} depends on itself")
        elif dependency not in known:
            problems.append(f"{row} depends on task_seq {dependency}, which does not exist")
    return problems


def _is_name(text: str) -> bool:
    return 0 < len(text) <= MAX_NAME_LENGTH and text.isprintable() and bool(text.strip())


def _refuse_cycles(name: str, tasks: Sequence[PlannedTask]) -> None:
    """Kahn's topological sort (1962): what never becomes free is on or behind a cycle."""
    dependents = dependents_of(tasks)
    open_count = [0] + [len(task.depends_on) for task in tasks]
    free = [task.seq for task in tasks if not task.depends_on]
    freed = 0
    while free:
        freed += 1
        for dependent in dependents[free.pop()]:
            open_count[dependent] -= 1
            if open_count[dependent] == 0:
                free.append(dependent)
    if freed == len(tasks):
        return
    cycle = " -> ".join(str(seq) for seq in _one_cycle(tasks, open_count))
    raise DefinitionError(
        name, [f"rows of task_id {name!r} depend on each other in a cycle: task_seq {cycle}"]
    )


def _one_cycle(tasks: Sequence[PlannedTask], open_count: list[int]) -> list[int]:
    """The task_seqs of one cycle, closed; walks backwards through tasks that never became free."""
    seq = next(task.seq for task in tasks if open_count[task.seq])
    path: dict[int, None] = {}
    while seq not in path:
        path[seq] = None
        seq = next(other for other in tasks[seq - 1].depends_on if open_count[other])
    walked = list(path)
    cycle = [*walked[walked.index(seq) :], seq]
    return [tasks[member - 1].task_seq for member in reversed(cycle)]
