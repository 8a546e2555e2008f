"""The callback by which work that takes long (a recovery, a replay) says how far it is."""

from collections.abc import Callable

Tell = Callable[[str, int, int], None]
"""Is told how far long work is: of what, how many are done, of how many (0: not known)."""
