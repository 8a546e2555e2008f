"""What a stub of a map's items does, told by the elements that they are given."""

from collections.abc import Sequence
from typing import Any

import msgspec

from flower_engine.model.values.result_json import MAX_STORED_RESULT_BYTES, encode_result


class ByElement:
    """See :func:`by_element`."""

    def __init__(self, parameter: str, answers: Sequence[tuple[Any, Sequence[Any]]]) -> None:
        self._parameter = parameter
        self._left = [(element, list(does)) for element, does in answers if does]

    def next(self, arguments: dict[str, Any]) -> Any:
        """What it does for this element; ``None, False``: nothing is left."""
        element = self._plain(arguments.get(self._parameter))
        same = [one for one in self._left if one[0] == element and one[1]]
        others = [one for one in self._left if one[1]]
        found = (same or others)[:1]
        return (found[0][1].pop(0), True) if found else (None, False)

    def __repr__(self) -> str:
        return f"what {len(self._left)} elements of {self._parameter!r} come to"

    @staticmethod
    def _plain(value: Any) -> Any:
        return msgspec.json.decode(encode_result(value, MAX_STORED_RESULT_BYTES))


def by_element(parameter: str, answers: Sequence[tuple[Any, Sequence[Any]]]) -> Any:
    """For :meth:`FlowerTest.stub`, of the items of a map: an element, and what its attempts do in order, for
    each item. ``parameter`` takes the element. An element that is not named, as parameters were
    masked, has what is left of the others, in order."""
    return ByElement(parameter, answers)
