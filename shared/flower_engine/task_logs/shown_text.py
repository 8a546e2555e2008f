"""Text that anybody wrote, for a terminal: what would act on it is written out, as \\x1b."""

import re

# Newlines and tabs stay; C0, DEL, C1 and what changes the direction of text do not.
_ACTING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def shown(text: str) -> str:
    """The text, in which nothing acts on a terminal."""
    return _ACTING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
