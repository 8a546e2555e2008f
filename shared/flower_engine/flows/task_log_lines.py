"""Lines of task logs as readers get them: each once, with a word where some are missing."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress

import msgspec

from flower_engine.errors import NewerEventError
from flower_engine.model.events.attempt_events import TaskLapsed, TaskSuspended
from flower_engine.model.events.events import TaskGivenUp
from flower_engine.projection.archive.refused_events import UNREADABLE, event_of
from flower_engine.projection.read.view_fields import Moment, View, moment
from flower_engine.projection.task_logs.chunk_queries import Arrival, ChunkRow, LostRow, Place
from flower_engine.task_logs.lines import MAX_LEVEL, Line, Stream

END = 2**53 + 1
"""Stands for the end of an attempt in a place: no line has this number."""
_NOTE_LEVEL = 30
_LOSSES = {
    "WorkerLost": "the worker",
    "ProcessLost": "the process that ran the program",
    "RedisLost": "Redis",
}
_decode = msgspec.json.Decoder(list[Line]).decode


class LineView(View):
    """A line of a task log. ``stream`` is `out`, `err`, `log` (the library logging), or `engine`: what Flower
    says about the log itself; then ``missing`` is the number of lines that are not there. ``level`` is a
    number of logging. Lines of an attempt are numbered from 1."""

    task_exec_seq: int
    task_name: str | None
    attempt: int
    number: int | None
    ts: Moment | None
    stream: Stream
    level: int
    logger: str
    text: str
    missing: int = 0


class LineFilter(msgspec.Struct, frozen=True):
    """Which lines are wanted. What Flower says about the log comes in any case, unless another stream is."""

    task: int | None = None
    attempt: int | None = None
    level: int = 0
    stream: Stream | None = None


class Told(msgspec.Struct, frozen=True):
    """A line, with where it stands in readers' order and as it came."""

    place: Place
    arrival: Arrival
    line: LineView


class Teller:
    """Makes lines of chunks. Those of an attempt must come in order; what comes twice is told once.

    ``told``: the last line of a task and attempt that was told; of others, all are wanted from the first.
    """

    def __init__(
        self,
        asked: LineFilter,
        names: Mapping[int, str],
        told: dict[tuple[int, int], int] | None = None,
    ) -> None:
        self._asked = asked
        self._names = names
        self.told = {} if told is None else told

    def name(self, names: Mapping[int, str]) -> None:
        """From now on the tasks have these names."""
        self._names = names

    def lines_of(self, row: ChunkRow) -> Iterator[Told]:
        """The lines of a chunk that were not told before, behind a note of what is missing before them."""
        attempt = row.task, row.attempt
        told = self.told.get(attempt, 0)
        if row.last <= told:
            return
        self.told[attempt] = row.last
        lines = _lines_of(row)
        if row.first > told + 1:
            left_out = min(row.skipped, row.first - told - 1)
            yield self._note(
                row, row.first - 1, _words_of_gap(row.first - told - 1, left_out), row.first - told - 1
            )
        if lines is None:
            count = row.last - max(told, row.first - 1)
            yield self._note(row, row.last, f"{_lines(count)} cannot be read: {_why(row)}", count)
            return
        for line in lines:
            if (
                line.number > told
                and line.level >= self._asked.level
                and self._asked.stream in (None, line.stream)
            ):
                yield Told((*attempt, line.number), row.arrival, self._view(row, line))

    def lost(self, loss: "Loss") -> Told:
        """What is said at the end of an attempt that was lost."""
        task, attempt = loss.place[:2]
        name = self._names.get(task)
        line = LineView(task, name, attempt, None, moment(loss.at_ms), "engine", _NOTE_LEVEL, "", loss.text)
        return Told(loss.place, (END, 0, 0), line)

    def _view(self, row: ChunkRow, line: Line) -> LineView:
        name = self._names.get(row.task)
        return LineView(
            *(
                row.task,
                name,
                row.attempt,
                line.number,
                moment(line.ms),
                line.stream,
                line.level,
                line.logger,
                line.text,
            )
        )

    def _note(self, row: ChunkRow, number: int, text: str, missing: int) -> Told:
        name = self._names.get(row.task)
        line = LineView(row.task, name, row.attempt, None, None, "engine", _NOTE_LEVEL, "", text, missing)
        return Told((row.task, row.attempt, number), row.arrival, line)


class Loss(msgspec.Struct, frozen=True):
    """An attempt that was lost, as its events say."""

    place: Place
    at_ms: int
    text: str


def losses_of(rows: Iterable[LostRow], asked: LineFilter) -> list[Loss]:
    """The losses that events tell of, as they came. An event that cannot be read tells of none."""
    found: dict[Place, Loss] = {}
    for row in rows:
        with suppress(NewerEventError, *UNREADABLE):
            event = event_of(row.raw, row.error)
            if not isinstance(event, TaskLapsed | TaskSuspended | TaskGivenUp):
                continue
            if isinstance(event, TaskGivenUp) and not event.lease:
                continue  # of one that was held, its suspension tells
            kind = event.error.type if event.error is not None else "WorkerLost"
            if kind not in _LOSSES or asked.task not in (None, event.task):
                continue
            if asked.attempt in (None, event.attempt):
                place = (event.task, event.attempt, END)
                text = f"{_LOSSES[kind]} was lost; what it had not sent is missing"
                found.setdefault(place, Loss(place, event.at, text))
    return list(found.values())


def concerns(row: ChunkRow, asked: LineFilter) -> bool:
    """Whether a chunk may have lines that are asked for, or be needed to see what is missing."""
    return asked.task in (None, row.task) and asked.attempt in (None, row.attempt)


def _lines_of(row: ChunkRow) -> Sequence[Line] | None:
    """The lines; [] where none is wanted, None: they are damaged."""
    if not row.is_wanted:
        return []
    if row.lines is None or not isinstance(row.lines, bytes):
        return row.lines
    try:
        lines = _decode(row.lines)
    except (ValueError, RecursionError, msgspec.MsgspecError):
        return None
    is_whole = bool(lines) and (lines[0].number, lines[-1].number) == (row.first, row.last)
    return lines if is_whole and all(line.level <= MAX_LEVEL for line in lines) else None


def _words_of_gap(missing: int, left_out: int) -> str:
    if left_out == missing:
        return f"{_lines(missing)} left out: the attempt wrote more than is kept, or faster than it is sent"
    if not left_out:
        return f"{_lines(missing)} lost on the way: Redis was lost, or Postgres was away for long"
    return f"{_lines(missing)} missing: {left_out:,} were left out by the worker, the others lost on the way"


def _lines(count: int) -> str:
    return "1 line" if count == 1 else f"{count:,} lines"


def _why(row: ChunkRow) -> str:
    if row.blob is not None and row.lines is None:
        return "they are in FLOWER_TASK_LOG_STORE, which the API cannot read now, or is not told of"
    return "what is stored of them is damaged"
