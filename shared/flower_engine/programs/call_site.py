"""Where in somebody's code a call of ours was made, for messages."""

import sys
from types import FrameType


def calling_frame() -> FrameType | None:
    """The innermost frame that is neither Flower's nor of Python's own library; None: there is none."""
    frame = sys._getframe(1)  # pyright: ignore[reportPrivateUsage] # inspect.stack reads files for every frame
    while frame is not None and _is_ours(frame):
        frame = frame.f_back
    return frame


def call_site() -> str:
    """``file:line`` of that frame; "" where there is none."""
    frame = calling_frame()
    return "" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"


def site_of(error: BaseException) -> str:
    """``file:line`` of the innermost such frame that an error came through; "" where there is none."""
    site, step = "", error.__traceback__
    while step is not None:
        if not _is_ours(step.tb_frame):
            site = f"{step.tb_frame.f_code.co_filename}:{step.tb_lineno}"
        step = step.tb_next
    return site


def _is_ours(frame: FrameType) -> bool:
    package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
    return package == "flower_engine" or package in sys.stdlib_module_names
