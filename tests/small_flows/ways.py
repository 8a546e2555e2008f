"""What may come next in a small flow, and ways through it that together meet all of that."""

from collections.abc import Iterator, Sequence

from rules_oracle import Oracle, World

End = tuple[int, str]
"""A task that runs, and as what it ends; or one that is held ("S"), and what it becomes then."""

Way = tuple[End, ...]


def next_ends(oracle: Oracle, *, ruled: bool = True) -> Iterator[End]:
    """All that may come next, but for cancels and timeouts. ``ruled``: tasks say what follows a failure."""
    world = oracle.world
    for task, stands in oracle.stand.items():
        is_needed = any(task in node.needs for node in world)
        passed = ("Pp" if is_needed else "P") if ruled or not is_needed else ""
        given_up = "X" if ruled else ""
        if stands == "!":
            finished = "TE" if world[task - 1].decides else "F"
            for becomes in f"{finished}S{given_up}{passed if ruled else ''}":
                yield task, becomes
        elif stands == "S":
            for becomes in f"{given_up}{passed}":
                yield task, f"S{becomes}"


def ways_through(world: World) -> Iterator[tuple[World, Way]]:
    """Ways that begin at first, on which each end comes wherever it may: as the world is on each, and what
    ends in which order. What an operator may not do, pass over what somebody needs with no stand-in, is
    left out."""
    nobody_behind = [not any(task in node.after for node in world) for task in range(1, len(world) + 1)]
    seen: set[str] = set()

    def ways_from(oracle: Oracle, so_far: Way) -> Iterator[Way]:
        key = stand_of(oracle, nobody_behind)
        ends = [end for end in next_ends(oracle) if not (end[1] == "SP" and _is_needed(world, end[0]))]
        if key in seen or not ends:
            yield so_far
            return
        seen.add(key)
        for task, becomes in ends:
            then = oracle.copied()
            if len(becomes) == 1:
                then.end(task, becomes)
            else:
                then.let_go(task, becomes[1])
            yield from ways_from(then, (*so_far, (task, becomes)))

    for way in ways_from(Oracle(world), ()):
        came_to = dict(way)  # what was held and let go last
        yield (
            tuple(node._replace(becomes=came_to.get(task, "F")) for task, node in enumerate(world, start=1)),
            way,
        )


def stand_of(oracle: Oracle, nobody_behind: Sequence[bool]) -> str:
    """How its tasks stand, as far as what comes later follows from it."""
    return "".join(
        "F" if is_last and letter in "XPpTE" else letter
        for letter, is_last in zip(oracle.stand.values(), nobody_behind, strict=True)
    )


def _is_needed(world: World, task: int) -> bool:
    return any(task in node.needs for node in world)
