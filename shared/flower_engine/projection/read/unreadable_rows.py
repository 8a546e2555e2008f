"""Rows that hold times which cannot be shown: told with the nearest time that can be, and marked as such.

An older Flower took such times, and SQL takes them still; one row of this kind must not fail a whole list.
"""

from typing import Any, TypeVar

import msgspec

from flower_engine.model.values.times import is_shown, nearest
from flower_engine.projection.read.view_fields import beyond
from flower_engine.projection.read.views import FlowSummary

Flow = TypeVar("Flow", bound=FlowSummary)
_Fields = dict[str, msgspec.Raw]  # undecoded: whatever else the row holds stays as it is

_fields = msgspec.json.Decoder(_Fields)
_rows = msgspec.json.Decoder(list[_Fields])
_TIME = "Ts"


def decode_flow(decoder: msgspec.json.Decoder[Flow], row: str) -> Flow:
    """The flow that a row of JSON tells of, with times as seconds since the Unix epoch."""
    try:
        return decoder.decode(row)
    except msgspec.ValidationError:
        mended, marks = _mended(_fields.decode(row))
        if "tasks" in mended:
            tasks: list[_Fields] = []
            for number, fields in enumerate(_rows.decode(mended["tasks"]), start=1):
                task, own = _mended(fields)
                tasks.append(task)
                marks += (f"task {number}: {mark}" for mark in own)
            mended["tasks"] = _raw(tasks)
        return decoder.decode(msgspec.json.encode({**mended, "unreadable": marks}))


def _mended(fields: _Fields) -> tuple[_Fields, list[str]]:
    mended, marks = dict(fields), list[str]()
    for name, raw in fields.items():
        text = bytes(raw).decode().strip('"')  # infinity is a string in JSON
        if name.endswith(_TIME) and text != "null" and not is_shown(float(text) * 1000):
            mended[name] = _raw(nearest(float(text) * 1000) / 1000)
            marks.append(beyond(name))
    return mended, marks


def _raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))
