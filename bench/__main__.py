"""`make bench`: measure, print, and write docs/benchmarks.md. QUICK=1 takes less than a minute."""

from __future__ import annotations

import os
import sys

from bench.measure import FULL, QUICK, measure
from bench.report import markdown, say, terminal, write
from bench.shells import WrongError
from bench.startup import breakdown
from bench.tools import all_tools
from bench.world import world


def main() -> int:
    """Measure everything; 1 and a line if a shell did not have the environment it must have."""
    quick = os.environ.get("QUICK", "0") not in ("", "0")
    tools = all_tools()
    try:
        results = measure(tools, QUICK if quick else FULL, say)
    except WrongError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    say("the program's start")
    with world(tools[:1]) as made:
        parts = breakdown(tools[0], made, 3 if quick else 15)
    print("\n".join(terminal(results, parts)))
    path = write(markdown(results, parts, tools, quick))
    say(f"wrote {os.path.relpath(path)}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
