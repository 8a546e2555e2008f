"""``make bench``: ``flower bench`` with this checkout's shapes; the result goes to benchmarks/results/."""

import sys
from pathlib import Path

from flower_cli.main import main

_HERE = Path(__file__).parent
_SHAPES = sorted((_HERE.parent / "tests" / "shapes").glob("*.json"))

if __name__ == "__main__":
    shapes = [word for file in _SHAPES for word in ("--shapes", str(file))]
    sys.argv[1:] = ["bench", "--results", str(_HERE / "results"), *shapes, *sys.argv[1:]]
    main()
