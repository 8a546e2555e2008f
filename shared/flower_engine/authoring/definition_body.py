"""The body of a workflow while it runs: its steps become tasks, in the order in which they are called."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from flower_engine.authoring.condition import Said
from flower_engine.authoring.given_values import Given, ValueFault, form_of_target
from flower_engine.authoring.program_steps import StepSignature, step_signature
from flower_engine.authoring.ref import Ref, Target
from flower_engine.authoring.step_documents import (
    Called,
    bounds_of_map,
    said_of_options,
    written_arguments,
    written_stand_in,
    written_value,
)
from flower_engine.authoring.step_names import UniqueNames, name_of_step
from flower_engine.errors import DefinitionError, ProgramError
from flower_engine.model.decisions.decision_tasks import CONDITION
from flower_engine.model.definitions.child_flows import GIVEN, WORKFLOW
from flower_engine.model.definitions.map_tasks import (
    ALIGNED,
    FLAT,
    KEY,
    OUTCOMES,
    OVER,
    ZIPPED,
    may_be_given_up,
)
from flower_engine.model.parameters.references import holds_references
from flower_engine.model.tasks.rule_texts import HOLD
from flower_engine.model.tasks.rules import READY
from flower_engine.model.tasks.task_spec import MAX_TASKS
from flower_engine.model.waits.wait_parameters import DECISION, MAP, SUBFLOW
from flower_engine.programs.call_site import call_site, calling_frame

_ROW = re.compile(r"row \(task_id .*?, task_seq (\d+)\)")


class StepTask(msgspec.Struct):
    """A task as far as it is known; ``site``: file and line of its step."""

    seq: int
    name: str
    site: str
    said: dict[str, Any]


class Branch(NamedTuple):
    """A side of a decision."""

    decision: StepTask
    is_when: bool


class Body:
    """A workflow whose body runs."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._tasks: dict[str, StepTask] = {}
        self._names = UniqueNames()
        self._signatures: dict[int, StepSignature] = {}
        self._branches: list[Branch] = []  # the blocks that are open, the innermost last
        self._ended: Branch | None = None  # the when block that ended right before
        self._announced: dict[int, tuple[object, str]] = {}  # blocks that nobody entered so far
        self._lists: set[str] = set()  # tasks whose results are used as they are
        self._told: set[str] = set()  # maps of which outcomes are used
        self.children: dict[str, Any] = {}
        """The workflows of its sub-flows, by name."""

    @property
    def tasks(self) -> list[dict[str, Any]]:
        """The tasks, as a document has them."""
        return [task.said for task in self._tasks.values()]

    def add_step(
        self,
        program: str,
        function: Callable[..., Any],
        options: Mapping[str, Any],
        arguments: tuple[tuple[Any, ...], Mapping[str, Any]],
    ) -> Any:
        """Makes a task; a reference to its result.

        Raises:
            DefinitionError: an argument does not fit, or the name is taken; names file and line.
        """
        return self._add_called(self._called(program, function), options, arguments)

    def add_map(
        self,
        program: str,
        function: Callable[..., Any],
        options: Mapping[str, Any],
        arguments: tuple[tuple[Any, ...], Mapping[str, Any]],
    ) -> Any:
        """Makes a map of a program; a reference to the list of its results.

        Raises:
            DefinitionError: as for a step, or what it goes over is no list.
        """
        called = self._called(program, function)._replace(is_map=True)
        return self._add_called(called, options, arguments)

    def add_child(
        self,
        child: Any,
        signature: StepSignature,
        options: Mapping[str, Any],
        arguments: tuple[tuple[Any, ...], Mapping[str, Any]],
    ) -> Any:
        """Makes a task that a flow of another workflow does, ``child``; a reference to what that returns.

        Raises:
            DefinitionError: an argument does not fit, or the name is taken; names file and line.
        """
        return self._add_called(self._child(child, signature), options, arguments)

    def add_child_map(
        self,
        child: Any,
        signature: StepSignature,
        options: Mapping[str, Any],
        arguments: tuple[tuple[Any, ...], Mapping[str, Any]],
    ) -> Any:
        """Makes a map each of whose items a flow of another workflow does; a reference to the list of what
        they return.

        Raises:
            DefinitionError: as for a step, or what it goes over is no list.
        """
        return self._add_called(self._child(child, signature)._replace(is_map=True), options, arguments)

    def _child(self, child: Any, signature: StepSignature) -> Called:
        name: str = child.name
        self.children[name] = child
        return Called(f"workflow {name!r}", SUBFLOW, signature, workflow=name)

    def _add_called(
        self,
        step: Called,
        options: Mapping[str, Any],
        arguments: tuple[tuple[Any, ...], Mapping[str, Any]],
    ) -> Any:
        site = call_site()
        _, program, signature, workflow, is_map = step
        try:
            parameters, targets = written_arguments(step, arguments)
            parameters |= bounds_of_map(step, options)
            targets.extend(self._order(options.get("after", ())))
            if is_map and self._is_aligned(parameters, targets, options):
                parameters[ALIGNED] = True
                self._refuse_foreign(targets)
            else:
                self._refuse_others(targets)
            if "stand_in" in options:
                options = {**options, "stand_in": written_stand_in(options["stand_in"], signature.result)}
        except ValueFault as fault:
            raise self.fault(site, str(fault)) from fault
        name: str | None = options.get("name")
        task = self._add(name, name or name_of_step(calling_frame(), workflow or program), site)
        if workflow is not None and not is_map:
            parameters = {WORKFLOW: workflow} | ({GIVEN: parameters} if parameters else {})
        self._say(task, MAP if is_map else program, parameters, targets)
        task.said.update(said_of_options(options))
        result = list[signature.result] if is_map else signature.result
        made: Ref[Any] = Ref(Target(self, task.name, result, {"$from": task.name}, (task,), has_parts=True))
        return made

    def _is_aligned(
        self, parameters: Mapping[str, Any], targets: Sequence[Target], options: Mapping[str, Any]
    ) -> bool:
        """Whether a map goes along the items of another one: if it may, unless its step says otherwise."""
        asked: bool | None = options.get("aligned")
        if asked is not None:
            return asked
        before: list[Any] = [task for target in targets for task in target.tasks]
        maps = [task for task in before if task.said["program"] == MAP]
        is_alone = len(targets) == 1 and len(maps) == 1 and not targets[0].is_of_outcomes
        is_whole = is_alone and parameters[OVER] == {"$from": maps[0].name}
        is_plain = parameters.keys().isdisjoint((ZIPPED, FLAT, KEY)) and not self._branches
        is_plain = is_plain and not (is_alone and may_be_given_up(maps[0].said.get("onFailure", HOLD)))
        return is_whole and is_plain and options.get("rule", READY) == READY and not options.get("finally_")

    def announce(self, block: object, site: str, call: str) -> None:
        """Notes a block that is to be entered."""
        self._announced[id(block)] = (block, f"{site}: it calls {call} without with")

    def enter_when(self, block: object, condition: Said, name: str | None, site: str) -> None:
        """Makes the task that decides; steps are a branch of it from here on.

        Raises:
            DefinitionError: the name is taken, or a reference is of another workflow; names file and line.
        """
        self._enter(block, site)
        try:
            self._refuse_others(condition.targets)
        except ValueFault as fault:
            raise self.fault(site, str(fault)) from fault
        first = min((task.seq for target in condition.targets for task in target.tasks), default=0)
        about = next((task.name for task in self._tasks.values() if task.seq == first), "")
        task = self._add(name, name or f"when_{about}".rstrip("_"), site)
        self._say(task, DECISION, {CONDITION: condition.tree}, condition.targets)
        self._branches.append(Branch(task, is_when=True))

    def enter_otherwise(self, block: object, site: str) -> None:
        """Steps are the other branch of the decision right before.

        Raises:
            DefinitionError: there is none; names file and line.
        """
        ended = self._ended
        self._enter(block, site)
        if ended is None:
            raise self.fault(
                site, "it calls otherwise(), and no block of when(...) ends right before: write it behind one"
            )
        self._branches.append(Branch(ended.decision, is_when=False))

    def leave(self) -> None:
        """The innermost block ends."""
        branch = self._branches.pop()
        self._ended = branch if branch.is_when else None

    def _enter(self, block: object, site: str) -> None:
        if self._announced.pop(id(block), None) is None:
            raise self.fault(site, "its block is entered twice: write with when(...) for each")
        self._ended = None

    def add_wait(
        self,
        program: str,
        given: Mapping[str, object],
        result: Any,
        options: Mapping[str, Any],
        part: str = "",
    ) -> Any:
        """Makes a task that waits for the world; a reference to its result, or to this part of it (JSON
        Pointer).

        Raises:
            DefinitionError: a value has no JSON form, or the name is taken; names file and line.
        """
        site = call_site()
        try:
            parameters: dict[str, Any] = {}
            targets: list[Target] = []
            for name, value in given.items():
                parameters[name], found = written_value(name, value)
                targets.extend(found)
            targets.extend(self._order(options.get("after", ())))
            self._refuse_others(targets)
            if "stand_in" in options:
                options = {**options, "stand_in": written_stand_in(options["stand_in"], Any)}
        except ValueFault as fault:
            raise self.fault(site, f"{program[1:]}(...): {fault}") from fault
        own: str | None = options.get("name")
        task = self._add(own, own or name_of_step(calling_frame(), program), site)
        self._say(task, program, parameters, targets)
        task.said.update(said_of_options(options))
        form = {"$from": task.name}
        made: Ref[Any] = Ref(Target(self, task.name, result, form, (task,), has_parts=True, path=part))
        return made

    def parameter(self, name: str, annotation: Any) -> Ref[Any]:
        """A reference to a parameter of the workflow."""
        return Ref(Target(self, name, annotation, {"$param": name}))

    def returns(self, value: object, annotation: Any) -> Any:
        """What the body returned, as a document has it.

        Raises:
            DefinitionError: it does not fit the annotation, or has no JSON form.
        """
        for _, what in self._announced.values():
            raise DefinitionError(
                self.name, [f"{what}, so its steps belong to nothing: write with when(...):"]
            )
        try:
            given = Given(value)
            given.check(annotation)
            self._refuse_others(given.targets)
            secret = next((one for one in given.targets if _holds_secret(one.form)), None)
            if secret is not None:
                raise ValueFault(f"holds {secret.shown}: whoever may read a flow could read it")
            return given.written(lambda target, _: form_of_target(target))
        except ValueFault as fault:
            raise DefinitionError(self.name, [f"what it returns {fault}"]) from fault

    def fault(self, site: str, what: str) -> DefinitionError:
        """The error for a fault at this place of the source."""
        return DefinitionError(self.name, [f"{site}: {what}" if site else what])

    def with_site(self, problem: str) -> str:
        """What is wrong with a row, after file and line of its step."""
        row = _ROW.match(problem)
        site = row and next((task.site for task in self._tasks.values() if task.seq == int(row[1])), "")
        return f"{site}: {problem}" if site else problem

    def _called(self, program: str, function: Callable[..., Any]) -> Called:
        try:
            signature = self._signature(program, function)
        except ProgramError as fault:
            raise self.fault(call_site(), str(fault)) from fault
        return Called(f"program {program!r}", program, signature)

    def _signature(self, program: str, function: Callable[..., Any]) -> StepSignature:
        known = self._signatures.get(id(function))
        if known is None:
            known = self._signatures[id(function)] = step_signature(program, function)
        return known

    def _say(
        self, task: StepTask, program: str, parameters: Mapping[str, Any], targets: Iterable[Target]
    ) -> None:
        self._ended = None
        task.said["program"] = program
        if parameters:
            task.said["parameters"] = parameters
        before = {one.seq: one.name for target in targets for one in target.tasks}
        task.said["dependsOn"] = [before[seq] for seq in sorted(before)]
        if self._branches:
            branch = self._branches[-1]
            task.said["when"] = [branch.decision.name, branch.is_when]

    def _add(self, name: str | None, likely: str, site: str) -> StepTask:
        if name is None:
            name = self._names.unique(likely, self._tasks)
        elif name in self._tasks:
            raise self.fault(
                site,
                f"two steps are named {name!r}, the other at {self._tasks[name].site}; name one otherwise",
            )
        if len(self._tasks) == MAX_TASKS:
            raise self.fault(site, f"a workflow may have {MAX_TASKS} tasks, and this is one more")
        seq = len(self._tasks) + 1
        task = StepTask(seq, name, site, {"taskSeq": seq, "taskName": name})
        self._tasks[name] = task
        return task

    def _order(self, after: Iterable[object]) -> list[Target]:
        targets: list[Target] = []
        for one in after:
            found = Given(one).targets
            if not any(target.tasks for target in found):
                raise ValueFault(f"after=[...] takes results of steps, and {one!r} is none")
            targets.extend(found)
        return targets

    def tell_outcomes(self, task: StepTask) -> None:
        """The result of a map says what became of its items.

        Raises:
            DefinitionError: it is used as the list of their results, too.
        """
        if task.name in self._lists:
            raise self.fault(
                call_site(),
                f"{task.name} is used as the list of what its items return, and as outcomes({task.name}): use"
                " the outcomes, which have the results",
            )
        task.said["parameters"] = {**task.said["parameters"], OUTCOMES: True}
        self._told.add(task.name)

    def _refuse_others(self, targets: Iterable[Target]) -> None:
        for target in targets:
            for task in target.tasks if not target.is_of_outcomes else ():
                if task.name in self._told:
                    raise ValueFault(
                        f"takes {target.shown}, which is used as outcomes({task.name}), too: these have the"
                        " results"
                    )
                self._lists.add(task.name)
        self._refuse_foreign(targets)

    def _refuse_foreign(self, targets: Iterable[Target]) -> None:
        for target in targets:
            if target.workflow not in (None, self):
                raise ValueFault(
                    f"{target.shown} belongs to workflow {target.workflow.name!r}; references live in the"
                    " body of one workflow"
                )


def _holds_secret(form: dict[str, Any]) -> bool:
    return holds_references(form, frozenset({"$secret"}))
