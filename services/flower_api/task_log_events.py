"""Following a task log as server-sent events: ``line``, ``end``, and comments while nothing comes."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

import msgspec

from flower_engine.flows.followed_streams import FollowedStreams
from flower_engine.flows.task_log_followers import Followed, Mark, follow
from flower_engine.flows.task_log_lines import LineFilter

EVENT_STREAM = "text/event-stream"
_encode = msgspec.json.Encoder().encode


async def sent_events(
    streams: FollowedStreams, flow: str, asked: LineFilter, *, behind: Mark | None, tail: int | None
) -> AsyncGenerator[bytes]:
    """The events, as they come; see :func:`follow`."""
    yield b": lines follow\n\n"
    async with aclosing(follow(streams, flow, asked, behind=behind, tail=tail)) as followed:
        async for one in followed:
            yield _event(one)


def _event(one: Followed) -> bytes:
    if one.line is not None:
        return b"id: " + one.mark.encode() + b"\nevent: line\ndata: " + _encode(one.line) + b"\n\n"
    if one.is_end:
        return b"event: end\ndata: " + _encode({"problem": one.trouble or None}) + b"\n\n"
    words = " ".join(one.trouble.split())
    return f": {words or 'nothing new'}\n\n".encode()
