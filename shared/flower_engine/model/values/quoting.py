"""What somebody sent, as it is quoted to them."""

_MOST_QUOTED = 100


def short(text: str) -> str:
    """What was sent, as far as it helps to tell it apart."""
    return text if len(text) <= _MOST_QUOTED else f"{text[:_MOST_QUOTED]}..."
