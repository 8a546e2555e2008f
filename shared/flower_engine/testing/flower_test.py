"""The engine for one test."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import timedelta
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar, cast, overload

from flower_engine.authoring.workflow import OfFlow, Prepared, Workflow, without_options
from flower_engine.errors import ParameterFault, ParametersError, SecretError
from flower_engine.flows.registrations import Asked
from flower_engine.model.flow_control.flow_control import AtMaxFlows, FlowControl, Scope
from flower_engine.model.tasks.durations import Duration, duration_ms
from flower_engine.programs.registry import Registry, registry
from flower_engine.testing.engine import Engine
from flower_engine.testing.private_server import server
from flower_engine.testing.program_runs import Attempts
from flower_engine.testing.run import Run, plain
from flower_engine.testing.skipping import Skipping
from flower_engine.testing.stubs import For, Stub, program_name

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R")


class FlowerTest:
    """Runs workflows by the engine's own scripts in a partition of their own; no time is waited for.

    Programs run in this process, one after another, whatever their kind. While one runs, time stands still.
    ``secrets``: what programs get for ``$secret`` names.
    """

    def __init__(self, *, programs: Registry = registry) -> None:
        """``programs``: those that are run; else all that are registered by ``@program``."""
        self.secrets: dict[str, str] = {}
        self._programs = programs
        self._stubs: dict[For, Stub] = {}
        self._server = server()
        self._number = self._server.take_number()
        self._engine = self._server.call(
            Engine.opened(self._server.pool, self._number, programs, self._secret)
        )
        self._attempts = Attempts(programs, self._stubs, self._engine.blobs)
        self._skipping = Skipping(
            self._server, self._engine, self._attempts, lambda: {program for program, _, _ in self._stubs}
        )

    @overload
    def run(self, workflow: Workflow[P, R], *args: P.args, **kwargs: P.kwargs) -> Run[R]: ...
    @overload
    def run(self, workflow: Prepared[P, R], *args: P.args, **kwargs: P.kwargs) -> Run[R]: ...
    @overload
    def run(self, workflow: Mapping[str, Any], **parameters: Any) -> Run[Any]: ...

    def run(self, workflow: Any, *args: Any, **kwargs: Any) -> Run[Any]:
        """Registers a flow of the workflow with these parameters, and lets everything happen until it has
        finished. ``workflow`` may be a definition as PUT /workflows takes it, too.

        Raises:
            StuckError: it does not finish; says of each task why.
            DefinitionError, ParametersError: it cannot be registered so.
            StubError: a stub does not fit.
        """
        run = self.start(workflow, *args, **kwargs)
        run.finish()
        return run

    @overload
    def start(self, workflow: Workflow[P, R], *args: P.args, **kwargs: P.kwargs) -> Run[R]: ...
    @overload
    def start(self, workflow: Prepared[P, R], *args: P.args, **kwargs: P.kwargs) -> Run[R]: ...
    @overload
    def start(self, workflow: Mapping[str, Any], **parameters: Any) -> Run[Any]: ...

    def start(self, workflow: Any, *args: Any, **kwargs: Any) -> Run[Any]:
        """The same, but nothing of it runs yet: see what :class:`Run` can do.

        Raises:
            DefinitionError, ParametersError: it cannot be registered so.
        """
        prepared = cast("Prepared[Any, Any] | None", workflow if isinstance(workflow, Prepared) else None)
        made = cast(Any, workflow if prepared is None else prepared.workflow)
        said = None if prepared is None else prepared.of_flow
        document, parameters, result_type = made, kwargs, None
        if isinstance(made, Workflow):
            written = cast("Workflow[..., Any]", made)
            document, parameters = written.document(), written.parameters(*args, **kwargs)
            result_type = written.result_type
            self._define_children(written, {written.name})
        elif args:
            said = f"a definition takes its parameters by name, and was given {len(args)} without one"
            raise ParametersError([ParameterFault(said, "#/parameters")])
        asked = Asked(parameters=parameters) if said is None else _asked(said, parameters)
        self._server.call(self._engine.define(document))
        flow = self._server.call(self._engine.register(document["taskId"], asked))
        return Run(flow, self._engine, self._skipping, result_type)

    def _define_children(self, workflow: Workflow[..., Any], known: set[str]) -> None:
        """The workflows of its sub-flows, the innermost first."""
        for child in workflow.children():
            if child.name not in known:
                known.add(child.name)
                self._define_children(child, known)
                self._server.call(self._engine.define(child.document()))

    def stub(self, program: object, *does: Any, task: str | None = None, key: str | None = None) -> Stub:
        """What a program does instead of what it does: ``does`` is a result, an exception, or a callable that
        is called with the program's arguments (async ones are awaited); or :func:`hangs`. Several are for
        its calls in order, and there must be enough of them; one alone is for all.

        ``program``: the function under ``@program``, or its name. ``task``: of the task of this name only.
        ``key``: of items with this key only, in each map of a chain unless ``task`` says which.

        Raises:
            StubError: a result is none that the program can return.
        """
        name = program_name(program)
        stub = self._stubs[name, task, key] = Stub((name, task, key), self._programs.get(name), does)
        return stub

    def limit(
        self,
        of: Workflow[..., Any] | Callable[..., Any] | None = None,
        *,
        queue: str | None = None,
        max_running: int | None = None,
        limit_by: str | None = None,
        max_per_key: int | None = None,
        max_flows: int | None = None,
        at_max_flows: AtMaxFlows = "queue",
        rate: int | None = None,
        per: Duration = 1,
        fair_by: str | None = None,
        is_paused: bool = False,
    ) -> None:
        """What may run at once, or start in a time, as ``PUT /limits`` sets it; replaces what was set before.

        Args:
            of: a program (its function), or a workflow; neither, and no ``queue``: of all together.
            queue: of the tasks of this queue.
            max_running: units of tasks at once.
            limit_by: the parameter whose values have ``max_per_key`` each.
            max_per_key: units of tasks at once, for each value of ``limit_by``.
            max_flows: of a workflow: flows under way at once.
            at_max_flows: what becomes of further ones: queue, reject, cancel_oldest, skip.
            rate: starts of tasks in any ``per``.
            per: a duration.
            fair_by: of a workflow: the parameter whose values take turns.
            is_paused: nothing of it starts.

        Raises:
            FlowControlError: the settings do not fit.
        """
        of = without_options(of, "limited")
        scope: Scope = "global"
        name = ""
        if queue is not None:
            scope, name = "queue", queue
        elif isinstance(of, Workflow):
            scope, name = "workflow", of.name
        elif of is not None:
            scope, name = "program", program_name(of)
        control = FlowControl(
            scope=scope,
            name=name,
            max_running=max_running,
            limit_by=limit_by,
            max_per_key=max_per_key,
            max_flows=max_flows,
            at_max_flows=at_max_flows,
            rate=rate,
            rate_period_seconds=duration_ms(per) / 1000,
            fair_by=fair_by,
            is_paused=is_paused,
            changed_by="test",
        )
        self._server.call(self._engine.set_control(control))

    def signal(self, name: str, payload: Any = None, *, key: str | int = "", first: bool = False) -> int:
        """Sends a signal to all flows of the test in which a task awaits it now, or to the first of them; how
        many tasks took it. What nobody awaits is not kept: that is for a signal to one flow (``run.signal``).

        Raises:
            ParametersError: the payload fits the type of none of these tasks.
        """
        self._skipping.work()
        sent = self._engine.signal_all(name, str(key), plain(payload), first=first)
        return len(self._skipping.call(sent).taken)

    def skip(self, time: Duration) -> None:
        """Lets so much time pass for all flows of the test; what becomes due runs."""
        self._skipping.let_pass(duration_ms(time))

    @property
    def skipped(self) -> timedelta:
        """How much time was skipped in all."""
        return timedelta(milliseconds=self._skipping.skipped_ms)

    async def awaited(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """For tests on an event loop: ``await flower.awaited(flower.run, nightly, day=day)``. The test's loop
        goes on meanwhile, and async programs and stubs run on it."""
        self._attempts.loop_of_test = asyncio.get_running_loop()
        try:
            return await asyncio.to_thread(call, *args, **kwargs)
        finally:
            self._attempts.loop_of_test = None

    def close(self) -> None:
        """Leaves nothing of it; the fixture does so."""
        self._attempts.close()
        self._server.call(self._engine.close())
        self._server.give_back(self._number)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _secret(self, name: str) -> str:
        if name not in self.secrets:
            raise SecretError(f"the test gives no secret {name!r}: flower.secrets[{name!r}] = ...")
        return self.secrets[name]


def _asked(said: OfFlow, parameters: dict[str, Any]) -> Asked:
    return Asked(
        parameters=parameters,
        priority=said.priority,
        start_at=None if said.start_at is None else said.start_at.isoformat(),
        delay_seconds=None if said.delay_ms is None else said.delay_ms / 1000,
        key=said.key,
    )
