"""Hooks without any I/O: which events are occasions, what is told of them, how it is signed, tried again."""

import base64
import hashlib
import hmac
import json
from ipaddress import ip_address
from typing import Any

import msgspec
import pytest

from flower_engine.errors import ProgramError, SecretError, SettingsError
from flower_engine.hooks.hook import Hook, problems
from flower_engine.hooks.notifications import FlowFacts, body_of, notification_id
from flower_engine.hooks.occasions import Moment, moments_of
from flower_engine.hooks.python_hooks import hook, registered_hook
from flower_engine.hooks.retries import delay_seconds, is_over
from flower_engine.hooks.signatures import headers_of
from flower_engine.model.tasks.status import Status
from flower_engine.runtime.settings_loading import load_settings
from flower_projector.hook_addresses import Networks
from projection.stories import Story
from projection.story_plans import SHAPES

WIDE = ((), (), (), ())


def told(story: Story) -> tuple[list[tuple[str, str]], dict[str, int]]:
    """(occasion, flow) in order, and how many tasks stand in Suspend at the end."""
    suspended: dict[str, int] = {}
    found = [moments_of(event, suspended) for event in story.events]
    counts = {
        flow: count
        for flow, state in story.flows().items()
        if (count := sum(task.status is Status.SUSPEND for task in state.tasks))
    }
    assert suspended == counts, "what is counted along is what the fold says"
    return [(one.occasion, one.flow) for one in found if one is not None], suspended


def test_of_many_failures_the_first_is_told_and_again_when_it_was_held_up_no_more() -> None:
    story = Story()
    flow = story.register(WIDE)
    for task in (1, 2, 3):
        story.start(flow, task)
    story.suspend(flow, 1)
    story.suspend(flow, 2)
    assert told(story)[0] == [("flow.failed", flow)]
    story.ignore(flow, 1)
    story.suspend(flow, 3)
    assert told(story)[0] == [("flow.failed", flow)]
    story.rerun(flow, 2, 3)
    assert told(story)[1] == {}
    story.fail_while_waiting(flow, 4)
    assert told(story)[0] == [("flow.failed", flow)] * 2


def test_a_cancel_with_a_cleanup_is_told_once_and_no_end_beside_it() -> None:
    story = Story()
    cancelled, ended, late = (story.register(SHAPES[-1]) for _ in range(3))
    for flow in (cancelled, ended, late):
        for task in (1, 2, 3):
            story.start(flow, task)
    story.end(cancelled, "cancel")
    story.start(cancelled, 6)
    suspended: dict[str, int] = {}
    moments = [moments_of(event, suspended) for event in story.events]
    assert [one.occasion for one in moments if one] == ["flow.cancelled"]
    story.suspend(cancelled, 6)
    story.rerun_cleanup(cancelled, [6])
    story.start(cancelled, 6)
    story.finish(cancelled, 6)
    story.end(ended, "cancel")
    story.cancel(ended)
    story.end(late, "timeout")
    assert [one for one in told(story)[0] if one[1] == ended] == [("flow.cancelled", ended)]
    told_of = [one for one, flow in told(story)[0] if flow == cancelled]
    assert told_of == ["flow.cancelled", "flow.failed"], "somebody should look at a cleanup that failed"
    assert [one for one, flow in told(story)[0] if flow == late] == ["flow.failed"]


def test_an_end_is_told_whichever_event_brings_it() -> None:
    story = Story()
    finished, ignored, cancelled = (story.register(((),)) for _ in range(3))
    story.run(finished)
    story.start(ignored, 1)
    story.suspend(ignored, 1)
    story.ignore(ignored, 1)
    story.start(cancelled, 1)
    story.suspend(cancelled, 1)
    story.cancel(cancelled)
    assert told(story)[0] == [
        ("flow.finished", finished),
        ("flow.failed", ignored),
        ("flow.finished", ignored),
        ("flow.failed", cancelled),
        ("flow.cancelled", cancelled),
    ]
    story.rerun(finished, 1)
    story.run(finished)
    assert [flow for _, flow in told(story)[0]].count(finished) == 2


def test_a_timeout_and_a_snapshot_tell_a_failure_once() -> None:
    story = Story()
    late, found = story.register(WIDE), story.register(SHAPES[1])
    story.start(late, 1)
    story.time_out(late)
    story.start(found, 1)
    story.suspend(found, 1)
    story.snapshot(found)
    assert told(story)[0] == [("flow.failed", late), ("flow.failed", found)]
    alone = Story(events=story.events[-1:])
    assert moments_of(alone.events[0], {}) == Moment(
        occasion="flow.failed", at=alone.events[0].at, flow=found, version=story.flows()[found].version
    )


def test_missed_slots_are_told_and_other_fates_are_not() -> None:
    story = Story()
    for number in (0, 3, 6, 9, 1):
        story.schedule(number)
    (missed,) = [one for event in story.events if (one := moments_of(event, {})) is not None]
    assert (missed.occasion, missed.count, missed.reason) == ("slot.missed", 2, "unwatched")


def test_the_same_thing_of_the_same_hook_has_the_same_id_and_no_other_has_it() -> None:
    moment = Moment(occasion="flow.failed", at=1, flow="f", version=3)
    replaced = msgspec.structs.replace
    others = [
        notification_id("b", moment),
        notification_id("a", replaced(moment, version=4)),
        notification_id("a", replaced(moment, flow="g")),
        notification_id("a", replaced(moment, occasion="flow.finished")),
        notification_id("a", Moment(occasion="slot.missed", at=1, schedule="f", slot=3)),
    ]
    assert notification_id("a", moment) == notification_id("a", replaced(moment, at=2))
    assert len({notification_id("a", moment), *others}) == 6
    late = Moment(occasion="flow.late", at=1, flow="f")
    assert notification_id("a", late) == notification_id("a", replaced(late, at=5))


def test_a_body_says_what_became_of_which_flow() -> None:
    story = Story()
    flow = story.register()
    story.start(flow, 1)
    story.suspend(flow, 1, message="x" * 10_000)
    moment = moments_of(story.events[-1], {})
    assert moment is not None
    facts = FlowFacts(workflow="etl", registered_ms=0, task={"taskExecSeq": 1})
    body = json.loads(body_of("ops", "msg_1", moment, facts))
    assert (body["id"], body["type"], body["hook"]) == ("msg_1", "flow.failed", "ops")
    data = body["data"]
    assert (data["taskFlowId"], data["taskId"], data["task"]) == (flow, "etl", {"taskExecSeq": 1})
    assert data["registeredTs"] == "1970-01-01T00:00:00.000Z"
    assert data["error"]["type"] == "ValueError"
    assert len(data["error"]["message"]) == 4_096
    assert "traceback" not in data["error"]


@pytest.mark.parametrize("secret", ["plain words", "whsec_" + base64.b64encode(b"\x01" * 32).decode()])
def test_a_signature_is_that_of_the_standard(secret: str) -> None:
    headers = headers_of("msg_1", 1_700_000_000, b'{"a":1}', secret.replace(" ", "-"))
    key = (
        base64.b64decode(secret.removeprefix("whsec_"))
        if secret.startswith("whsec_")
        else secret.replace(" ", "-").encode()
    )
    mac = hmac.new(key, b'msg_1.1700000000.{"a":1}', hashlib.sha256).digest()
    assert headers == {
        "webhook-id": "msg_1",
        "webhook-timestamp": "1700000000",
        "webhook-signature": "v1," + base64.b64encode(mac).decode(),
    }


def test_while_a_secret_changes_there_is_a_signature_of_each() -> None:
    both = headers_of("m", 1, b"x", "new old")["webhook-signature"].split()
    assert both == [headers_of("m", 1, b"x", one)["webhook-signature"] for one in ("new", "old")]
    assert "webhook-signature" not in headers_of("m", 1, b"x", None)
    for bad in ("whsec_$", "whsec_", "  ", "good whsec_"):
        with pytest.raises(SecretError) as caught:
            headers_of("m", 1, b"x", bad, "KEY")
        assert "KEY" in str(caught.value) and "$" not in str(caught.value)


def test_attempts_come_ever_more_rarely_and_for_a_day() -> None:
    delays: list[float] = []
    while not is_over(sum(delays), delay := delay_seconds(len(delays) + 1, 0.5)):
        delays.append(delay)
    assert delays[:4] == [5, 10, 20, 40]
    assert max(delays) == 3_600
    assert 86_400 - 3_600 < sum(delays) <= 86_400
    assert len(delays) > 25
    assert delay_seconds(1, 0) == 4 and delay_seconds(1, 1) == 6
    assert delay_seconds(1, 0, 60) == 60 and delay_seconds(1, 0, 10**9) == 3_600
    assert delay_seconds(10_000, 0.5) == 3_600


@pytest.mark.parametrize(
    ("field", "more"),
    [
        ("hook", {"name": ""}),
        ("hook", {"name": "a/b"}),
        ("hook", {"name": "a\nb"}),
        ("hook", {"name": "ab\n"}),
        ("occasions", {"occasions": ()}),
        ("occasions", {"occasions": ("flow.started",)}),
        ("lateAfterSeconds", {"occasions": ("flow.late",)}),
        ("lateAfterSeconds", {"occasions": ("flow.late",), "late_after_seconds": 0.0}),
        ("lateAfterSeconds", {"occasions": ("flow.late",), "late_after_seconds": float("nan")}),
        ("lateAfterSeconds", {"late_after_seconds": 5.0}),
        ("kind", {"kind": "email"}),
        ("target", {"target": "example.com"}),
        ("target", {"target": "ftp://example.com"}),
        ("target", {"target": "https://user:secret@example.com/"}),
        ("target", {"target": "https://exa mple.com/"}),
        ("target", {"target": "https://example.com:99999/"}),
        ("target", {"target": "https://example.com/\r\nX: y"}),
        ("target", {"target": "https://[::1/"}),
        ("target", {"kind": "command", "target": "/bin/sh"}),
        ("target", {"kind": "command", "target": "a b"}),
        ("target", {"kind": "python", "target": ""}),
        ("secret", {"kind": "python", "target": "x", "secret": "A"}),
        ("secret", {"secret": "../etc/passwd"}),
        ("reason", {"reason": "x" * 1_001}),
    ],
)
def test_what_is_wrong_with_a_hook_is_said_of_its_field(field: str, more: dict[str, Any]) -> None:
    good: dict[str, Any] = {
        "name": "ops",
        "occasions": ("flow.failed",),
        "kind": "webhook",
        "target": "https://example.com/x",
    }
    assert problems(Hook(**good)) == []
    found = problems(Hook(**good | more))
    assert {one.field for one in found} == {field}


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("93.184.216.34", "public"),
        ("2606:2800:220:1::1", "public"),
        ("::ffff:93.184.216.34", "public"),
        ("10.1.2.3", "private"),
        ("192.168.1.1", "private"),
        ("100.64.0.1", "private"),
        ("fd00::1", "private"),
        ("::ffff:10.1.2.3", "private"),
        ("64:ff9b::a01:203", "private"),
        ("2002:a01:203::1", "private"),
        ("127.0.0.1", "loopback"),
        ("127.9.9.9", "loopback"),
        ("::1", "loopback"),
        ("::ffff:127.0.0.1", "loopback"),
        ("0.0.0.0", "none"),
        ("::", "none"),
        ("169.254.169.254", "none"),
        ("::ffff:169.254.169.254", "none"),
        ("fe80::1", "none"),
        ("fd00:ec2::254", "none"),
        ("100.100.100.200", "none"),
        ("224.0.0.1", "none"),
        ("255.255.255.255", "none"),
        ("240.0.0.1", "none"),
    ],
)
def test_an_address_is_allowed_by_what_it_is_and_by_nothing_else(address: str, kind: str) -> None:
    words = ["public", "private", "loopback"]
    assert [word for word in words if Networks([word]).allows(ip_address(address))] == (
        [] if kind == "none" else [kind]
    )
    inner = address.removeprefix("::ffff:")
    if not inner.startswith(("64:", "2002:")):  # these count as the address that they lead to
        assert Networks([f"{inner}/{128 if ':' in inner else 32}"]).allows(ip_address(inner))


def test_networks_are_taken_as_they_are_and_not_by_their_neighbours() -> None:
    networks = Networks(["10.1.0.0/16"])
    assert networks.allows(ip_address("10.1.255.255"))
    for other in ("10.2.0.1", "93.184.216.34", "127.0.0.1"):
        assert not networks.allows(ip_address(other))


@pytest.mark.parametrize(
    "given",
    [
        {"hook_networks": "everywhere"},
        {"hook_networks": "10.1.2.3/16"},
        {"hook_commands": "page"},
        {"hook_commands": "page=bin/page"},
        {"hook_commands": "/bin/sh=/bin/sh"},
    ],
)
def test_settings_of_hooks_that_make_no_sense_are_refused(given: dict[str, str]) -> None:
    with pytest.raises(SettingsError):
        load_settings(**given)


def test_a_name_is_registered_for_one_function() -> None:
    def first(_: Any) -> None: ...
    def second(_: Any) -> None: ...

    hook("unit-test")(first)
    hook("unit-test")(first)  # imported twice
    assert registered_hook("unit-test") is first
    with pytest.raises(ProgramError, match="unit-test"):
        hook("unit-test")(second)
    assert registered_hook("other") is None
