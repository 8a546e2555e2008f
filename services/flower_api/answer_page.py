"""The page of an answer link: what an approval shows, its form, and what came of an answer. Plain HTML: it
runs no script, loads nothing, and everything in it is escaped."""

import hashlib
from base64 import b64encode
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, cast
from urllib.parse import parse_qs

import msgspec
from starlette.responses import HTMLResponse

from flower_engine.flows.approvals import ApprovalDetail

MOST_BODY = 256 * 1024
_MOST_FIELDS = 100
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:42rem;margin:2rem auto;padding:0 1rem}"
    "label{display:block;margin:.7rem 0}input:not([type=checkbox]),select,textarea{display:block;width:100%;"
    "font:inherit}button{font:inherit;padding:.4rem 1.4rem;margin-right:.7rem}pre{overflow:auto}"
    "th{text-align:left;vertical-align:top;padding-right:1rem}.wrong{color:#b00020}"
)
_HEAD = '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
_HASH = b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_HASH}'; form-action 'self'; base-uri 'none';"
        " frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
    "Referrer-Policy": "same-origin",  # nobody else learns the link; without any, browsers send no Origin
    "Cache-Control": "no-store",
}


class FormFault(ValueError):  # noqa: N818 # it is told on the page
    """What somebody filled in is no answer; the message is a sentence."""


def page_of(approval: ApprovalDetail, name: str, wrong: Sequence[str] = ()) -> HTMLResponse:
    """The page that asks; ``wrong``: what is wrong with the answer that was sent."""
    title = approval.title or f"{approval.task_name or approval.task_exec_seq} of {approval.task_id}"
    parts = [f"<h1>{escape(title)}</h1>", f"<p>For {escape(name)}</p>"]
    if approval.text:
        parts += [f"<p>{escape(line)}</p>" for line in approval.text.split("\n\n")]
    if approval.shows is not None:
        parts.append(_shown(approval.shows))
    parts += [f'<p class="wrong">{escape(said)}</p>' for said in wrong]
    # No action: it leads to where the page is.
    parts.append(f'<form method="post">{_form(approval.form)}</form>')
    return _page(title, "".join(parts), 422 if wrong else 200)


def note(title: str, said: str, status: int) -> HTMLResponse:
    """A page that says something."""
    return _page(title, f"<h1>{escape(title)}</h1><p>{escape(said)}</p>", status)


def answer_in(body: bytes, form: Any) -> Any:
    """The answer that the page's form was sent with.

    Raises:
        FormFault: it cannot be read.
    """
    try:
        given = parse_qs(
            body.decode("ascii"), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict"
        )
    except ValueError:
        raise FormFault("What was sent is no form of this page.") from None
    fields = _fields(form)
    if fields is None:
        try:
            return msgspec.json.decode(given.get("answer", [""])[-1])
        except (ValueError, RecursionError) as error:
            raise FormFault(f"The answer is not JSON: {error}") from None
    answer: dict[str, Any] = {}
    for field, schema in fields.items():
        text = given.get(field, [""])[-1]
        if schema.get("type") == "boolean":
            answer[field] = text == "true"
        elif text or (field in _required(form) and schema.get("type") == "string"):
            answer[field] = _value(field, text, schema)
    return answer


def _value(field: str, text: str, schema: Mapping[str, Any]) -> Any:
    if schema.get("type") == "string":
        return text.replace("\r\n", "\n")
    try:
        return int(text) if schema.get("type") == "integer" else float(text)
    except ValueError:
        raise FormFault(f"{field} is no number.") from None


def _fields(form: Any) -> dict[str, dict[str, Any]] | None:
    """The fields that a page can have inputs for; None: it asks for JSON."""
    said = _object(form)
    properties: dict[str, Any] = said.get("properties") or {}
    fields: dict[str, dict[str, Any]] = {}
    for name, one in properties.items():
        schema = _object(one, form)
        if schema.get("type") not in ("boolean", "string", "integer", "number"):
            return None
        fields[name] = schema
    return fields if said.get("type") == "object" and fields else None


def _object(schema: Any, whole: Any = None) -> dict[str, Any]:
    """The schema, where it refers to another of the form that one."""
    found = cast("dict[str, Any]", schema) if isinstance(schema, dict) else {}
    ref = found.get("$ref")
    if isinstance(ref, str) and ref.startswith("#/$defs/"):
        named = cast("dict[str, Any]", whole if whole is not None else schema).get("$defs", {})
        return cast("dict[str, Any]", named.get(ref.removeprefix("#/$defs/"), {}))
    return found


def _required(form: Any) -> Sequence[str]:
    return _object(form).get("required") or ()


def _form(form: Any) -> str:
    fields = _fields(form)
    if fields is None:
        return (
            '<label>The answer, as JSON<textarea name="answer" rows="8" required></textarea></label>'
            f"<pre>{escape(_json(form))}</pre><button>Answer</button>"
        )
    inputs = [_input(name, schema, form) for name, schema in fields.items() if name != "approved"]
    if fields.get("approved", {}).get("type") == "boolean":
        inputs.append('<button name="approved" value="true">Yes</button>')
        inputs.append('<button name="approved" value="false">No</button>')
    else:
        inputs.append("<button>Answer</button>")
    return "".join(inputs)


def _input(name: str, schema: Mapping[str, Any], form: Any) -> str:
    title, named = escape(str(schema.get("title") or name)), f'name="{escape(name)}"'
    needed = " required" if name in _required(form) else ""
    kind = schema.get("type")
    if kind == "boolean":
        return f'<label><input type="checkbox" {named} value="true"> {title}</label>'
    choices = schema.get("enum")
    if kind == "string" and isinstance(choices, list):
        options = "".join(f"<option>{escape(str(one))}</option>" for one in cast("list[Any]", choices))
        empty = "" if needed else "<option></option>"
        return f"<label>{title}<select {named}{needed}>{empty}{options}</select></label>"
    if kind == "string":
        return f'<label>{title}<textarea {named} rows="2"{needed}></textarea></label>'
    step = "1" if kind == "integer" else "any"
    return f'<label>{title}<input type="number" step="{step}" {named}{needed}></label>'


def _shown(shows: Any) -> str:
    if not isinstance(shows, dict):
        return f"<pre>{escape(_json(shows))}</pre>"
    rows = [
        f"<tr><th>{escape(str(key))}</th><td>{_cell(value)}</td></tr>"
        for key, value in cast("dict[str, Any]", shows).items()
    ]
    return f"<table>{''.join(rows)}</table>"


def _cell(value: Any) -> str:
    return escape(value) if isinstance(value, str) else f"<pre>{escape(_json(value))}</pre>"


def _json(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value)).decode()


def _page(title: str, content: str, status: int) -> HTMLResponse:
    head = f"{_HEAD}<title>{escape(title)}</title><style>{_STYLE}</style>"
    page = f'<!doctype html><html lang="en"><head>{head}</head><body>{content}</body></html>'
    return HTMLResponse(page, status, _HEADERS)
