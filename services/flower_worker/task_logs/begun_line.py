"""A line of a stream as it is put together from pieces, as much as is kept of it."""


class BegunLine:
    """``content`` is the beginning of the line, or of what it was written over with last (``\\r``, as
    progress bars do), and ``size`` how many characters that has."""

    __slots__ = ("content", "size")

    def __init__(self, written: str, begin: int, end: int, most: int) -> None:
        """The line begins with this part of what was written; ``most`` of it is kept."""
        begin = max(begin, written.rfind("\r", begin, max(begin, end - 1)) + 1)  # one before its end is of it
        self.content = written[begin : min(end, begin + most)]
        self.size = end - begin

    def go_on(self, written: str, most: int) -> None:
        """It goes on with this."""
        begin = written.rfind("\r", 0, max(0, len(written) - 1)) + 1
        if begin > 0 or (self.content[-1:] == "\r" and written.strip("\r")):
            self.content = written[begin : begin + most]
            self.size = len(written) - begin
        else:
            self.content += written[: max(0, most - len(self.content))]
            self.size += len(written)


def last_writing(content: str) -> str:
    """What a terminal would show of a line that was written over."""
    if "\r" not in content:
        return content
    content = content.rstrip("\r")
    return content[content.rfind("\r") + 1 :]
