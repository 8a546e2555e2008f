"""``traceparent`` is read as W3C Trace Context says."""

import pytest

from flower_engine.traces.traceparent import settled_traceparent

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.mark.parametrize(
    ("text", "settled"),
    [
        (f"00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-01"),
        (f"00-{TRACE}-{SPAN}-00", f"00-{TRACE}-{SPAN}-00"),
        (f"cc-{TRACE}-{SPAN}-01-what-will-be", f"00-{TRACE}-{SPAN}-01"),
    ],
)
def test_a_valid_one_is_kept_in_the_form_of_version_00(text: str, settled: str) -> None:
    assert settled_traceparent(text) == settled


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01\n",
        f"cc-{TRACE}-{SPAN}-01-{'x' * 600}",
    ],
)
def test_what_is_none_is_told_apart(text: str) -> None:
    assert settled_traceparent(text) is None
