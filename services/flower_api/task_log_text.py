"""Task logs as plain text, in which nothing that a program wrote acts on a terminal."""

import logging
from collections.abc import AsyncGenerator, Iterable

from flower_engine.errors import FlowerError
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.flows.task_log_lines import LineFilter, LineView
from flower_engine.flows.task_log_pages import LogPage, place_of, read_page
from flower_engine.store_faults import STORE_ERRORS
from flower_engine.task_logs.shown_text import shown

_log = logging.getLogger(__name__)

PLAIN = "text/plain"


def wants_plain(accept: str) -> bool:
    """Whether a client that says so rather has plain text than JSON."""
    weights = {"text/plain": 0.0, "application/json": 0.0}
    for part in accept.lower().split(","):
        kind, *parameters = (word.strip() for word in part.split(";"))
        if kind in weights:
            weights[kind] = max(weights[kind], _weight(parameters))
    return weights["text/plain"] > weights["application/json"]


def as_text(lines: Iterable[LineView], *, with_task: bool) -> str:
    """Lines as text; ``with_task``: each begins with its task and attempt."""
    return "".join(_text_of(line, with_task=with_task) for line in lines)


async def all_as_text(
    stores: PostgresStores, page: LogPage, asked: LineFilter, limit: int
) -> AsyncGenerator[bytes]:
    """This page and all behind it. Where a store goes away meanwhile, the text says that it ends there."""
    while True:
        yield as_text(page.lines, with_task=asked.task is None).encode()
        if page.next is None:
            return
        try:
            page = await read_page(stores, page.task_flow_id, asked, place_of(page.next), limit)
        except (*STORE_ERRORS, FlowerError) as error:
            _log.warning("the log of flow %s was sent in part only: %s", page.task_flow_id, error)
            yield b"[flower] the rest cannot be read now\n"
            return


def _text_of(line: LineView, *, with_task: bool) -> str:
    text = shown(line.text)
    if line.stream == "engine":
        text = f"[flower] {text}"
    if not with_task:
        return f"{text}\n"
    head = f"{line.task_name or line.task_exec_seq}.{line.attempt} | "
    return "".join(f"{head}{part}\n" for part in text.split("\n"))


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
