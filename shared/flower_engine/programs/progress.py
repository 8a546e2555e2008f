"""How far an attempt says it is."""

import math
from typing import Any

import msgspec

from flower_engine.errors import ProgramError
from flower_engine.model.sanitise import clean_text

MAX_NOTE_CHARACTERS = 1_000
_ROUNDING = 1e-9  # a sum of shares may end a little above 1


class Progress(msgspec.Struct, frozen=True, omit_defaults=True):
    """A share of the whole (0..1), if the program can tell, and a note."""

    fraction: float | None = None
    note: str = ""


decode_progress = msgspec.json.Decoder(Progress).decode


def make_progress(fraction: Any, note: Any) -> Progress:
    """What a program said, checked; of a longer note the first ``MAX_NOTE_CHARACTERS`` are kept.

    Raises:
        ProgramError: the fraction is not a number from 0 to 1.
    """
    text = note if isinstance(note, str) else str(note)
    if len(text) > MAX_NOTE_CHARACTERS:
        text = text[: MAX_NOTE_CHARACTERS - 1] + "…"
    return Progress(None if fraction is None else _share(fraction), clean_text(text, MAX_NOTE_CHARACTERS))


def _share(fraction: Any) -> float:
    share = math.nan
    if not isinstance(fraction, bool | str | bytes | bytearray):
        try:
            share = float(fraction)
        except (TypeError, ValueError, OverflowError):
            pass
    if not -_ROUNDING <= share <= 1 + _ROUNDING:
        raise ProgramError(
            f"progress({fraction!r:.100}): the fraction is a share of the whole from 0 to 1, such as"
            " done / total, or None if the program cannot tell"
        )
    return min(max(share, 0.0), 1.0)
