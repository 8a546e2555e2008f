"""Schedules, flow control and the log itself: what their golden events mean."""

from flower_engine.model.events.events import AnyEvent, ControlChanged, LogOpened
from flower_engine.model.events.schedule_events import (
    ScheduleDefined,
    ScheduleFired,
    ScheduleHeld,
    ScheduleMissed,
    ScheduleSkipped,
)
from golden.meanings.names import SCHEDULE, THREE

MEANINGS: dict[str, AnyEvent] = {
    "log.opened/*": LogOpened(
        at=1795422380112, installation="0f0b9a52-6a5e-4d52-9c5f-0d9d2c6e6b11", generation=1, partition=0
    ),
    "schedule.defined/*-plain": ScheduleDefined(
        at=1795960800100,
        schedule=SCHEDULE,
        name='nightly "花"',
        version=3,
        state="active",
        cursor=1795960800000,
    ),
    "schedule.defined/*-failures-problem": ScheduleDefined(
        at=1795960800101,
        schedule=SCHEDULE,
        failures=2,
        name='nightly "花"',
        version=4,
        state="problem",
        cursor=1795960800000,
        problem='timezone: there is no zone "Mars"',
    ),
    "schedule.fired/*-plain": ScheduleFired(
        at=1795960860007, schedule=SCHEDULE, slot=1795960860000, flow=THREE, late_ms=7
    ),
    "schedule.fired/*-failures-backfill-last": ScheduleFired(
        at=1795960920007,
        schedule=SCHEDULE,
        failures=1,
        slot=1795960800000,
        flow=THREE,
        late_ms=120007,
        backfill="b-1",
        last=True,
    ),
    "schedule.skipped/*-overlap": ScheduleSkipped(
        at=1795960980003,
        schedule=SCHEDULE,
        slot=1795960980000,
        until=1795960980000,
        reason="overlap",
        detail="a flow of it is under way",
        flow=THREE,
        late_ms=3,
    ),
    "schedule.skipped/*-range": ScheduleSkipped(
        at=1795961100003,
        schedule=SCHEDULE,
        failures=3,
        slot=1795961040000,
        until=1795961100000,
        count=2,
        reason="failures",
        late_ms=60003,
        last=True,
    ),
    "schedule.missed/*-range": ScheduleMissed(
        at=1795964700003,
        schedule=SCHEDULE,
        slot=1795961160000,
        until=1795964640000,
        count=59,
        reason="unwatched",
        late_ms=3540003,
    ),
    "schedule.held/*-plain": ScheduleHeld(
        at=1795964700003, schedule=SCHEDULE, slot=1795964700000, flow=THREE
    ),
    "schedule.skipped/*-one-overlap": ScheduleSkipped(
        at=1795876366324,
        schedule=SCHEDULE,
        slot=1795876268307,
        until=1795876268307,
        reason="overlap",
        flow="01a22291-252b-7000-8000-000075a884d2",
        late_ms=98017,
    ),
    "schedule.skipped/*-paused": ScheduleSkipped(
        at=1795876366342,
        schedule=SCHEDULE,
        slot=1795876274307,
        until=1795876274307,
        reason="paused",
        late_ms=92035,
    ),
    "schedule.fired/*-failures-last": ScheduleFired(
        at=1795876366346,
        schedule=SCHEDULE,
        failures=1,
        slot=1795876275307,
        flow="01a22291-446b-7000-8000-00007b730ce0",
        late_ms=91039,
        last=True,
    ),
    "control.changed/*-settings": ControlChanged(
        name="p:A",
        settings={"scope": "program", "name": "A", "max_running": 2, "changed_by": "alice"},
        by="alice",
        at=1795521713160,
    ),
    "control.changed/*-plain": ControlChanged(name="p:A", at=1795521713161),
    "schedule.defined/*-paused": ScheduleDefined(
        at=1795941105757,
        schedule="5b1c2a66-0f3e-4f0a-9c55-2d3c6b7a8e90",
        failures=1,
        name="nightly",
        version=3,
        state="paused",
        cursor=1795941014718,
    ),
    "schedule.defined/*-finished": ScheduleDefined(
        at=1795941105757,
        schedule="5b1c2a66-0f3e-4f0a-9c55-2d3c6b7a8e90",
        failures=1,
        name="nightly",
        version=4,
        state="finished",
        cursor=1795941014718,
    ),
    "schedule.defined/*-deleted": ScheduleDefined(
        at=1795941105757,
        schedule="5b1c2a66-0f3e-4f0a-9c55-2d3c6b7a8e90",
        failures=1,
        name="nightly",
        version=5,
        state="deleted",
        cursor=1795941014718,
    ),
}
