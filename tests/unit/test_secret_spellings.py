"""A secret is hidden in whatever form programs write it."""

import json
from collections.abc import Callable
from urllib.parse import quote

import msgspec
import pytest

from flower_worker.secret_values import Mask
from flower_worker.task_logs.line_mask import LineMask

VALUE = 'hunter"2\\xy z\u00e9'
WRITTEN: dict[str, Callable[[str], str]] = {
    "plain": str,
    "repr": repr,
    "JSON": json.dumps,
    "JSON in UTF-8": lambda value: json.dumps(value, ensure_ascii=False),
    "JSON in JSON": lambda value: json.dumps(json.dumps({"password": value})),
    "JSON in JSON in UTF-8": lambda value: msgspec.json.encode(msgspec.json.encode(value).decode()).decode(),
    "address": lambda value: f"https://me:{quote(value, safe='')}@host/",
    "path": quote,
}
SIGNS = ("hunter", "xy", "z\u00e9", "u00e9")


@pytest.mark.parametrize("how", WRITTEN)
def test_lines_outcomes_and_errors_show_no_part_of_a_secret_however_it_is_written(how: str) -> None:
    text = f"before {WRITTEN[how](VALUE)} after"
    payload = Mask([VALUE]).json(msgspec.json.encode({"message": text, text: [text]}))
    for shown in (LineMask([VALUE]).hide(text), Mask([VALUE]).text(text), payload.decode()):
        assert "***" in shown
        assert "before" in shown
        assert "after" in shown
        assert not [sign for sign in SIGNS if sign in shown]
