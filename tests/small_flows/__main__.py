"""``make exhaust``: every small flow, whatever becomes of its tasks, in every order, by the fold and by the
oracle of rules; says how much that was."""

import argparse
import itertools
import os
import time
from collections.abc import Iterable
from functools import partial
from multiprocessing import get_context

from rules_oracle import World
from small_flows.shapes import cleaning, shapes, without_rules
from small_flows.walk import Walked, walk


def main() -> None:
    parser = argparse.ArgumentParser(prog="make exhaust", description=__doc__)
    parser.add_argument("--tasks", type=int, default=4, help="flows of up to so many tasks")
    parser.add_argument("--every", type=int, default=1, help="of the largest ones one in so many")
    parser.add_argument("--clean", type=int, default=97, help="of the largest that clean up one in so many")
    parser.add_argument("--from", type=int, default=0, dest="first", help="which of these is the first")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    given = parser.parse_args()
    sizes = range(1, given.tasks + 1)
    smaller = sizes[:-1]
    largest = itertools.islice(shapes(given.tasks), 0, None, given.every)
    some = [*itertools.chain.from_iterable(map(shapes, smaller)), *largest]
    clean = [*itertools.chain.from_iterable(map(cleaning, smaller))]
    some_clean = [*itertools.islice(cleaning(given.tasks), given.first, None, given.clean)]
    bare = [*itertools.chain.from_iterable(map(without_rules, sizes))]
    _walk_all("whatever may begin does so at once", some, given.processes)
    _walk_all("whatever may begin does so when it ends", some, given.processes, at_once=False)
    _walk_all("without rules", bare, given.processes, ruled=False)
    what = "with cleanups, cancels and timeouts, of"
    _walk_all(f"{what} up to {given.tasks - 1} tasks", clean, given.processes)
    _walk_all(f"{what} {given.tasks} tasks one in {given.clean}", some_clean, given.processes)


def _walk_all(what: str, worlds: Iterable[World], processes: int, **how: bool) -> None:
    began, began_cpu = time.monotonic(), sum(os.times()[:4])
    total = Walked()
    with get_context("fork").Pool(processes) as pool:
        for walked in pool.imap_unordered(partial(walk, **how), worlds, chunksize=100):
            total = total.with_more(walked)
        pool.close()
        pool.join()
    cpu = sum(os.times()[:4]) - began_cpu
    print(f"{what}: {total}; {time.monotonic() - began:.0f} s, {cpu:.0f} s of CPU", flush=True)


if __name__ == "__main__":
    main()
