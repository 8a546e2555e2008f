"""The attempts of a task, as the API tells them."""

from typing import Annotated

import msgspec

from flower_engine.model.events.event_meaning import How
from flower_engine.model.folding.attempts import AttemptHistory
from flower_engine.model.tasks.task_error import TaskError
from flower_engine.projection.read.view_fields import Moment, View, moment, moment_or_none


class AttemptView(View):
    """One attempt of a task; ``how`` says how it ended. Of one that waits for the world `worker` is empty,
    and `by` says who answered it, or sent the signal that it took. One that asked for another ``round`` says
    which, and the parameters that hold in it (``given``); one that asked for one of its flow (``flowAgain``)
    only these."""

    attempt: int
    worker: str
    started_ts: Moment
    ended_ts: Moment | None
    how: How
    error: TaskError | None
    by: str | None
    round: int | None
    given: Annotated[
        msgspec.Raw,
        msgspec.Meta(
            description="parameters that hold in the round that it asked for; null: it asked for none",
            extra_json_schema={"type": ["object", "null"]},
        ),
    ]

    @classmethod
    def of(cls, attempt: AttemptHistory) -> "AttemptView":
        return cls(
            attempt=attempt.attempt,
            worker=attempt.worker,
            started_ts=moment(attempt.started_ms),
            ended_ts=moment_or_none(attempt.ended_ms),
            how=attempt.how,
            error=attempt.error,
            by=attempt.by or None,
            round=attempt.round or None,
            given=msgspec.Raw(attempt.given or b"null"),
        )
