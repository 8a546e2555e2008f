"""The result of a run: as Markdown for a file, as tables for the screen."""

import statistics
import textwrap
from collections.abc import Mapping, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flower_bench.cpu import ROLES
from flower_bench.figures import REFERENCE_FLOOR, Figure, Floor, Outcome

_HEAD = ("workload", "what", "measured", "unit", "samples", "target here", "target", "holds", "of the floor")
_ERROR_CHARACTERS = 300
_HOLDS = {None: "", True: "yes", False: "NO"}


class Report:
    """Rows of text of everything that was found; ``factor`` is the median floor over the reference."""

    def __init__(self, environment: Mapping[str, str], outcomes: Sequence[Outcome]) -> None:
        self._environment = dict(environment)
        self._outcomes = outcomes
        self.floors = [floor for outcome in outcomes for floor in outcome.floors]
        self._messages = [floor.messages_per_second for floor in self.floors] or [REFERENCE_FLOOR]
        self._floor = statistics.median(self._messages)
        self.factor = self._floor / REFERENCE_FLOOR
        self._floor_of: dict[str, float] = {}
        if self.floors:
            rows = statistics.median(floor.rows_per_second for floor in self.floors)
            self._floor_of = {"tasks/s": self._floor, "flows/s": self._floor, "events/s": rows}

    def markdown(self) -> str:
        """The whole report."""
        lines = ["# Benchmark", "", *(f"- {name}: {text}" for name, text in self._environment.items()), ""]
        lines += [f"{self._floor_sentence()}", ""]
        for title, head, rows in self._tables():
            lines += [f"## {title}", "", _row(head), _row(["---"] * len(head)), *map(_row, rows), ""]
        if notes := self._notes():
            lines += ["## Notes", "", *(f"- {note}" for note in notes), ""]
        return "\n".join(lines)

    def show(self, console: Console) -> None:
        """The same on a terminal."""
        for name, text in self._environment.items():
            console.print(f"{name}: {text}", markup=False)
        console.print(self._floor_sentence(), markup=False)
        for title, head, rows in self._tables():
            table = Table(*head, title=title, box=SIMPLE_HEAD)
            for row in rows:
                table.add_row(*map(Text, row))
            console.print(table)
        for note in self._notes():
            console.print(note, markup=False)

    def _floor_sentence(self) -> str:
        if not self.floors:
            return "No floor was measured: the targets stand as they are."
        return (
            f"The floor is {self._floor:,.0f} messages/s (median of {len(self.floors)},"
            f" {min(self._messages):,.0f} to {max(self._messages):,.0f}): targets for {REFERENCE_FLOOR:,.0f}"
            f" messages/s are scaled by the factor {self.factor:.2f}, rates times it, times divided by it."
        )

    def _tables(self) -> list[tuple[str, Sequence[str], list[list[str]]]]:
        figures = [self._figure_row(figure) for outcome in self._outcomes for figure in outcome.figures]
        figures += [
            [outcome.workload, f"FAILED: {textwrap.shorten(outcome.error, _ERROR_CHARACTERS)}", *[""] * 7]
            for outcome in self._outcomes
            if outcome.error
        ]
        costs = [
            [cost.workload, f"{cost.tasks:,} {cost.per}s", *(_us(cost.us_per_task, role) for role in ROLES)]
            for outcome in self._outcomes
            for cost in outcome.costs
        ]
        floors = [_floor_row(floor) for floor in self.floors]
        return [
            ("Figures", _HEAD, figures),
            ("CPU by process, us a task (or flow)", ("workload", "over", *ROLES), costs),
            ("Floors", ("when", "XADD + XREADGROUP + XACK, messages/s", "COPY, rows/s"), floors),
        ]

    def _figure_row(self, figure: Figure) -> list[str]:
        here, floor = figure.target_here(self.factor), self._floor_of.get(figure.unit)
        return [
            figure.workload,
            figure.what,
            _number(figure.value),
            figure.unit,
            "" if figure.samples is None else f"{figure.samples:,}",
            "" if here is None else _number(here),
            "" if figure.target is None else _number(figure.target),
            _HOLDS[figure.holds(self.factor)],
            f"{figure.value / floor:.3f}" if floor else "",
        ]

    def _notes(self) -> list[str]:
        notes = [note for outcome in self._outcomes for note in outcome.notes]
        seconds = ", ".join(f"{outcome.workload} {outcome.seconds:.0f}" for outcome in self._outcomes)
        return [*notes, f"seconds taken: {seconds}"]


def _us(us_per_task: Mapping[str, float], role: str) -> str:
    return f"{us_per_task[role]:,.1f}" if role in us_per_task else "-"


def _floor_row(floor: Floor) -> list[str]:
    return [floor.when, f"{floor.messages_per_second:,.0f}", f"{floor.rows_per_second:,.0f}"]


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:,.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
