"""Links by which people answer approvals without an account: opened by anybody, answered once, kept
nowhere."""

import base64
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from api.serving import RunningApi
from flower_engine.log.client import send
from flower_engine.model.waits.answer_links import AnswerLink, LinkFault, masked, opened, signed

SECRET, OLD = "a" * 20, "b" * 20
FORM = {
    "type": "object",
    "properties": {
        "approved": {"type": "boolean"},
        "comment": {"type": "string"},
        "rows": {"type": "integer", "maximum": 10},
        "colour": {"type": "string", "enum": ["red", "<b>"]},
    },
    "required": ["approved", "comment"],
}
ASKED: dict[str, Any] = {"program": "@approval", "taskName": "ok", "dependsOn": []}
YES = {"approved": "true"}
STRANGE = (
    *("nan", "-inf", "1e400", "9" * 400, "9" * 5_000, "[" * 900 + "]" * 900, "[" * 20_000),
    *('["\\u0000"]', '["\\ud800"]', '["\0"]', '[{"$from": 1}, 1e400]'),
)
"""What no field of a form takes, and no form without fields."""


def browse(method: str, url: str, **sent: Any) -> httpx.Response:
    return httpx.request(method, url, timeout=60, verify=False, **sent)


def make(api: RunningApi, flow: str, name: str, **more: Any) -> str:
    reply = api.client.post(f"/flows/{flow}/tasks/ok/links", json={"for": name, **more})
    assert reply.status_code == 201, reply.text
    assert (reply.json()["for"], reply.headers["cache-control"]) == (name, "no-store")
    return reply.json()["url"]


@pytest.fixture
def linked(start_api: Callable[..., RunningApi]) -> RunningApi:
    return start_api(link_secret=f"{SECRET} {OLD}")


async def test_a_link_is_shown_by_get_and_answers_by_post_once(linked: RunningApi) -> None:
    linked.define("publish", {**ASKED, "parameters": {"title": "<Send> it?", "shows": {"rows": 7}, "of": 2}})
    flow = linked.register("publish")
    url = make(linked, flow, "ann@example.org")
    version = linked.flow(flow)["version"]
    for method in ("GET", "HEAD", "GET"):
        page = browse(method, url)
        assert page.status_code == 200
    assert "&lt;Send&gt; it?" in page.text
    assert "<Send>" not in page.text
    assert "ann@example.org" in page.text
    assert "script-src" not in page.headers["content-security-policy"]
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert linked.flow(flow)["version"] == version
    done = browse("POST", url, data=YES)
    assert (done.status_code, "ann@example.org" in done.text) == (200, True)
    assert browse("POST", url, data=YES).status_code == 200  # the same again: its page may never have come
    assert browse("POST", url, data={"approved": "false"}).status_code == 410
    await linked.project()
    assert browse("GET", url).status_code == 410
    assert linked.flow(flow)["tasks"][0]["awaiting"]["answeredBy"] == ["ann@example.org"]
    assert browse("POST", make(linked, flow, "bob"), data=YES).status_code == 200
    await linked.project()
    result = linked.flow(flow)["tasks"][0]["result"]
    assert result["by"] == ["ann@example.org", "bob"]
    link = url.rpartition("/")[2]
    events = linked.client.get(f"/flows/{flow}/events").text
    assert link not in events
    assert link not in linked.client.get("/metrics").text


async def test_the_form_of_a_page_is_that_of_the_approval(linked: RunningApi) -> None:
    linked.define("publish", {**ASKED, "parameters": {"form": {"$literal": FORM}}})
    flow = linked.register("publish")
    url = make(linked, flow, "ann")
    page = browse("GET", url).text
    for said in ('name="comment"', 'type="number"', "&lt;b&gt;", 'name="approved" value="false"'):
        assert said in page
    for data, said in (
        ({**YES, "comment": "x", "rows": "many"}, "rows is no number"),
        ({**YES, "comment": "x", "rows": "11"}, "maximum"),
        ({**YES, "comment": "x", "colour": "blue"}, "one of"),
    ):
        wrong = browse("POST", url, data=data)
        assert (wrong.status_code, said in wrong.text) == (422, True), wrong.text
    assert browse("POST", url, content=b"\xff").status_code == 422
    assert browse("POST", url, content=b"x" * 300_000).status_code == 404
    assert browse("POST", url, data={**YES, "comment": "fine", "rows": "3"}).status_code == 200
    answer = linked.flow(flow)["tasks"][0]["result"]["answer"]
    assert answer == {"approved": True, "comment": "fine", "rows": 3}


async def test_a_form_that_has_no_fields_takes_json(linked: RunningApi) -> None:
    linked.define("publish", {**ASKED, "parameters": {"form": {"$literal": {"type": "array"}}}})
    flow = linked.register("publish")
    url = make(linked, flow, "ann")
    assert "<textarea" in browse("GET", url).text
    assert "not JSON" in browse("POST", url, data={"answer": "{"}).text
    assert browse("POST", url, data={"answer": "{}"}).status_code == 422
    assert browse("POST", url, data={"answer": "[1]"}).status_code == 200


@pytest.mark.parametrize("kind", ["array", "number"])
async def test_a_form_that_is_filled_in_strangely_is_told_so(linked: RunningApi, kind: str) -> None:
    fields = {"type": "object", "properties": {"answer": {"type": "number"}}}
    form = {"array": {"type": "array"}, "number": fields}[kind]
    linked.define("publish", {**ASKED, "parameters": {"form": {"$literal": form}}})
    flow = linked.register("publish")
    url = make(linked, flow, "ann")
    for answer in STRANGE:
        said = browse("POST", url, data={"answer": answer})
        assert said.status_code == 422, f"{answer[:20]}: {said.text[:500]}"
    assert linked.flow(flow)["tasks"][0]["status"] == "Wait"


async def test_a_link_is_for_one_asking(linked: RunningApi) -> None:
    linked.define("publish", {**ASKED, "parameters": {}}, {"dependsOn": [1]})
    flow = linked.register("publish")
    url = make(linked, flow, "ann")
    again = linked.client.post(f"/flows/{flow}/rerun", json={"tasks": ["ok"]})
    assert again.status_code == 200, again.text
    await linked.project()
    assert browse("GET", url).status_code == 410
    assert browse("POST", url, data=YES).status_code == 410
    assert browse("POST", make(linked, flow, "ann"), data=YES).status_code == 200
    none = linked.client.post(f"/flows/{flow}/tasks/ok/links", json={"for": "ann"})
    await linked.project()
    none = linked.client.post(f"/flows/{flow}/tasks/ok/links", json={"for": "ann"})
    assert (none.status_code, none.json()["type"][-12:]) == (409, "not-awaiting")
    async with linked.engine() as engine:
        assert await send(engine.client, "EXISTS", engine.keys.flow(flow)) == 1


async def test_who_may_make_links_is_said_by_a_role_and_links_need_no_token(
    start_api: Callable[..., RunningApi],
) -> None:
    own = start_api(link_secret=SECRET, api_tokens=f"ann:{'a' * 16},mail:{'m' * 16}:operator:links")
    own.client.headers["Authorization"] = "Bearer " + "a" * 16
    parameters = {"roles": ["ops"], "not_registrant": True}
    own.define("publish", {**ASKED, "parameters": parameters})
    flow = own.register("publish")
    refused = own.client.post(f"/flows/{flow}/tasks/ok/links", json={"for": "eve"})
    assert (refused.status_code, refused.json()["type"][-12:]) == (403, "may-not-link")
    own.client.headers["Authorization"] = "Bearer " + "m" * 16
    assert browse("POST", make(own, flow, "ann"), data=YES).status_code == 403  # who registered the flow
    assert browse("GET", f"{own.url}/answers/").status_code in (401, 404)
    assert browse("POST", make(own, flow, "eve"), data=YES).status_code == 200
    assert own.flow(flow)["tasks"][0]["result"]["by"] == ["eve"]


def test_a_link_that_somebody_changed_opens_nothing() -> None:
    link = AnswerLink("flow", 1, 2, "ann", 100)
    text = signed(link, SECRET)
    assert opened(text, [OLD, SECRET], 99) == link
    said, _, signature = text.partition(".")
    other = base64.urlsafe_b64encode(b'["flow",1,2,"eve",100]').decode().rstrip("=")
    for wrong in (
        "",
        ".",
        "x.y",
        said,
        f"{other}.{signature}",
        f"{said}.{signature[:-2]}",
        f"{text}x",
        "é.é",
    ):
        with pytest.raises(LinkFault) as caught:
            opened(wrong, [SECRET], 99)
        assert not caught.value.is_over
    for secrets, now in (([OLD], 99), ([], 99), ([SECRET], 100)):
        with pytest.raises(LinkFault) as caught:
            opened(text, secrets, now)
        assert caught.value.is_over == (now == 100)
    assert masked(f"/answers/{text}") == "/answers/***"
