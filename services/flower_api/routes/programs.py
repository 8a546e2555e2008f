"""``/programs``: what live workers serve, and what they say of it."""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from fastapi import FastAPI, Path, Query
from starlette.responses import Response

from flower_api.openapi import replies, reply
from flower_api.problems import ProblemError
from flower_api.schemas import NAME_PATTERN, View, WorkflowName
from flower_engine.flows.live_programs import ProgramVersion
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.model.tasks.task_spec import MAX_NAME_LENGTH
from flower_engine.model.values.near_names import nearest_in_words
from flower_engine.model.values.quoting import short
from flower_engine.programs.published_program import SeenProgram
from flower_engine.projection.read.view_fields import Moment, moment

_MOST_WORKERS = 20  # of a version, that are named
Limit = Annotated[int, Query(ge=1, le=1_000)]
ProgramPath = Annotated[
    str,
    Path(min_length=1, max_length=MAX_NAME_LENGTH, pattern=NAME_PATTERN, description="The program."),
]


class ProgramVersionView(View):
    """A version of a program that live workers serve. ``hash``: of all that they say of it; null: they say
    nothing (yet), as workers of an older Flower. ``kind``: `async`, `thread` or `process`; "" while a worker
    begins. ``parametersSchema`` and ``resultSchema`` are JSON Schemas; null where they are not known.
    ``workers``: the first 20 of ``workerCount``."""

    hash: str | None
    kind: str
    description: str
    parameters_schema: dict[str, Any] | None
    result_schema: dict[str, Any] | None
    worker_count: int
    workers: list[str]

    @classmethod
    def of(cls, version: ProgramVersion) -> "ProgramVersionView":
        program, workers = version.program, sorted(version.workers)
        return cls(
            hash=version.hash,
            kind=program.kind if program else "",
            description=program.description if program else "",
            parameters_schema=program.parameters_schema if program else None,
            result_schema=program.result_schema if program else None,
            worker_count=len(workers),
            workers=workers[:_MOST_WORKERS],
        )


class FormerVersionView(View):
    """A version of a program that no live worker has. ``lastSeenTs``: when one had it, to a minute; the rest
    is as of a version that is served."""

    hash: str
    kind: str
    description: str
    parameters_schema: dict[str, Any] | None
    result_schema: dict[str, Any] | None
    last_seen_ts: Moment

    @classmethod
    def of(cls, seen: SeenProgram) -> "FormerVersionView":
        program = seen.published
        return cls(
            *(seen.hash, program.kind, program.description),
            *(program.parameters_schema, program.result_schema),
            last_seen_ts=moment(seen.seen_ms),
        )


class ProgramView(View):
    """A program. ``published_ts``: when a worker said last that it serves it, which each does when it begins,
    and every hour, or was last seen to. ``versions``: those of live workers, of the one that began last
    first; none where it was served lately, and no live worker does."""

    program: str
    published_ts: Moment | None
    versions: list[ProgramVersionView]

    @classmethod
    def of(cls, program: str, published_ms: int | None, versions: Sequence[ProgramVersion]) -> "ProgramView":
        return cls(
            program,
            None if published_ms is None else moment(published_ms),
            list(map(ProgramVersionView.of, versions)),
        )


class WholeProgramView(ProgramView):
    """A program with all that is known of it. ``formerVersions``: those that no live worker has, the one that
    was seen last first."""

    former_versions: list[FormerVersionView]

    @classmethod
    def made(cls, shown: ProgramView, kept: Sequence[SeenProgram]) -> "WholeProgramView":
        live = {version.hash for version in shown.versions}
        former = [FormerVersionView.of(one) for one in kept if one.hash not in live]
        return cls(shown.program, shown.published_ts, shown.versions, former)


class ProgramsPage(View):
    """A page of programs by name."""

    programs: list[ProgramView]
    next: str | None = msgspec.field(default=None)


def add_programs(app: FastAPI, stores: PostgresStores) -> None:
    """Adds the routes that show programs."""

    @app.get(
        "/programs",
        summary="List programs that workers serve, or served lately",
        responses=replies({200: (ProgramsPage, "A page of programs")}, problems=(422, 503)),
    )
    async def get_programs(
        cursor: Annotated[WorkflowName | None, Query(description="`next` of the page before")] = None,
        limit: Limit = 100,
    ) -> Response:
        served = await stores.programs.served()
        names = sorted(name for name in served if cursor is None or name > cursor)
        shown = names[:limit]
        versions = await stores.programs.published(shown)
        views = [ProgramView.of(name, served[name], versions[name]) for name in shown]
        return reply(ProgramsPage(views, shown[-1] if len(names) > limit else None))

    @app.get(
        "/programs/{program:rest}",
        summary="Show a program",
        responses=replies({200: (WholeProgramView, "The program")}, problems=(404, 422, 503)),
    )
    async def get_program(program: ProgramPath) -> Response:
        """What live workers say of it, and what is known of other versions."""
        served = await stores.programs.served()
        if program not in served:
            near = nearest_in_words(program, served)
            detail = f"no worker has served program {short(program)!r} in the last 90 days{near}"
            raise ProblemError(404, "unknown-program", detail)
        versions = await stores.programs.published([program])
        kept = await stores.programs.kept(program)
        return reply(WholeProgramView.made(ProgramView.of(program, served[program], versions[program]), kept))
