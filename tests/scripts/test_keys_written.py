"""Who writes which key, as what type, is what ``docs/keys.md`` says: a story is told, and MONITOR listens."""

import re
from collections.abc import Sequence

from flower_engine.log.keys import Keys
from flower_engine.model.flow_control.flow_control import FlowControl, Strike
from scripts.engine import Engine, fan, task
from scripts.key_use import KeyUse
from scripts.test_events_written import write_every_event
from unit.pages import quoted, rows
from unit.test_docs_keys import TEXTS

ROWS = {re.split(r"[:`]", row["key"])[1]: row for row in rows("keys.md", "key")}
OF_EVERYTHING = "wipe"  # removes whatever there is


async def _use_limits(engine: Engine, controls: Sequence[FlowControl]) -> None:
    await engine.control(*controls, strikes=[Strike(program="A", parameter="N", value=1, id="s")])
    await engine.register(*fan(3), workflow="wide")
    await engine.register(task(1), workflow="wide")
    await engine.work_off()
    await engine.control()
    await engine.register(*fan(600))
    await engine.work_off()


async def test_each_key_is_written_by_those_and_as_what_the_page_says(engine: Engine) -> None:
    with KeyUse(engine.blocking, TEXTS) as use:
        await write_every_event(engine)
        await _use_limits(
            engine,
            [
                FlowControl(scope="program", name="A", max_running=2, changed_by="alice"),
                FlowControl(scope="workflow", name="wide", max_flows=1, changed_by="alice"),
            ],
        )
    kinds = {kind for kind in use.writers if not kind.startswith("{")}
    assert len(kinds) > 20, "the story writes too little to say anything"
    said = {kind: set(quoted(ROWS[kind]["may be written by"])) | {OF_EVERYTHING} for kind in kinds}
    unsaid = {kind: use.writers[kind] - said[kind] for kind in kinds}
    assert {kind: names for kind, names in unsaid.items() if names} == {}
    types = {kind: use.types[kind] - {"", ROWS[kind]["type"]} for kind in kinds}
    assert {kind: found for kind, found in types.items() if found} == {}
    assert Keys(0).prefix == engine.keys.prefix
