"""The result as Markdown: speeds, the published case, what was set and installed, what went wrong."""

from dataclasses import dataclass, field

from benchmarks.peers.messages import Description
from benchmarks.peers.workloads import CHAINS, PUBLISHED, SPEEDS, Published, Workload

FLOWER = "flower"


@dataclass
class Row:
    """What was found out about a peer. A figure that is missing has its reason in ``failures``."""

    name: str
    peer: Description | None = None
    figures: dict[str, float | Published] = field(default_factory=dict[str, float | Published])
    failures: dict[str, str] = field(default_factory=dict[str, str])


def report(environment: dict[str, str], rows: list[Row]) -> str:
    """All of it."""
    lines = [f"- {name}: {text}" for name, text in environment.items()]
    lines += [
        "",
        "In brackets: how many times as quick Flower is. A dash: no such call, or see 'not measured' below.",
        "",
        *_speeds(rows),
    ]
    lines += ["", *_published(rows), "", *_verdicts(rows), "", "Versions and settings:", ""]
    for row in rows:
        if row.peer:
            durable = "durable" if row.peer.is_durable else "not durable"
            about = (
                f"{row.peer.versions}; {durable}; worker: {row.peer.setting}; order by: {row.peer.ordering}"
            )
            lines.append(f"- {row.name}: {about}")
    failures = [f"- {row.name}, {title}: {reason}" for row in rows for title, reason in row.failures.items()]
    if failures:
        lines += ["", "Not measured:", "", *failures]
    return "\n".join(lines) + "\n"


def cell(row: Row, workload: Workload) -> str:
    """A figure with its unit, for a line of progress."""
    found = row.figures.get(workload.title)
    if found is None:
        return row.failures.get(workload.title, "it has no such call")
    if isinstance(found, Published):
        return f"{found.total_ms:,.1f} ms, {found.outside_ms:,.1f} ms of it outside the tasks"
    return f"{found:,.1f} {workload.unit}"


def _speeds(rows: list[Row]) -> list[str]:
    titles = ["peer", "durable", *(f"{one.title}, {one.unit}" for one in SPEEDS)]
    table = [
        [
            row.name,
            "yes" if row.peer and row.peer.is_durable else "no",
            *(_with_ratio(rows, row, one) for one in SPEEDS),
        ]
        for row in rows
    ]
    return _table(titles, table)


def _published(rows: list[Row]) -> list[str]:
    parts = ("total", "inside", "outside")
    titles = ["peer", *(f"{one.title}, {part}, ms" for one in PUBLISHED for part in parts)]
    table: list[list[str]] = []
    for row in rows:
        cells = [row.name]
        for workload in PUBLISHED:
            found = row.figures.get(workload.title)
            if isinstance(found, Published):
                ratio = _ratio(rows, row, workload)
                cells += [
                    f"{found.total_ms:,.1f}",
                    f"{found.inside_ms:,.1f}",
                    f"{found.outside_ms:,.1f}{ratio}",
                ]
            else:
                cells += ["-", "-", "-"]
        table.append(cells)
    return _table(titles, table)


def _verdicts(rows: list[Row]) -> list[str]:
    """How Flower stands to the fastest of each kind in chains of three."""
    found = {row.name: row for row in rows if row.peer and CHAINS.title in row.figures}
    flower = found.pop(FLOWER, None)
    lines: list[str] = []
    for is_durable, target in ((True, 25), (False, 5)):
        kind = "durable" if is_durable else "non-durable"
        peers = [row for row in found.values() if row.peer and row.peer.is_durable is is_durable]
        if flower and peers:
            fastest = max(peers, key=lambda row: _value(row, CHAINS))
            times = _value(flower, CHAINS) / _value(fastest, CHAINS)
            lines.append(
                f"- {CHAINS.title}: Flower is {times:.1f} times as quick as the fastest {kind} peer, "
                f"{fastest.name} (target: {target})"
            )
    return lines


def _with_ratio(rows: list[Row], row: Row, workload: Workload) -> str:
    if workload.title not in row.figures:
        return "-"
    return f"{_value(row, workload):,.1f}" + _ratio(rows, row, workload)


def _ratio(rows: list[Row], row: Row, workload: Workload) -> str:
    flower = next((one for one in rows if one.name == FLOWER and workload.title in one.figures), None)
    if flower is None or row.name == FLOWER:
        return ""
    ours, theirs = _value(flower, workload), _value(row, workload)
    return f" ({ours / theirs if workload.more_is_better else theirs / ours:.1f}x)"


def _value(row: Row, workload: Workload) -> float:
    """What two peers are compared by."""
    found = row.figures[workload.title]
    return found.outside_ms if isinstance(found, Published) else found


def _table(titles: list[str], rows: list[list[str]]) -> list[str]:
    """A Markdown table whose columns are aligned, so that it can be read on a terminal, too."""
    widths = [max(len(cell) for cell in column) for column in zip(titles, *rows, strict=True)]

    def line(cells: list[str]) -> str:
        padded = [
            text.ljust(width) if place == 0 else text.rjust(width)
            for place, (text, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return f"| {' | '.join(padded)} |"

    rule = (
        "|"
        + "|".join("-" * (width + 1) + ("-" if place == 0 else ":") for place, width in enumerate(widths))
        + "|"
    )
    return [line(titles), rule, *map(line, rows)]
