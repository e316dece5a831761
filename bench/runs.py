"""`python -m bench.runs`: `run-shell` and the sync beside what does the bare work; writes
docs/benchmarks-runs.md. QUICK=1 leaves out what takes long, and writes nothing.

As root: the dock is this machine's engine by way of an sshd on a loopback address, and the far
side of the sync a throw-away unix user.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

from bench import remote, run, sync
from bench.row import Row, table, terminal, write

ABOUT = """\
# Benchmarks: runs and sync

Written by `make bench`. The dock is this machine, by way of its own sshd, so that the engine and
the disk are the same at both ends. Medians, taken in turns; {load:.1f} other processes at work
when this began."""


def main() -> int:
    """Print each row as it is found, and write them all down."""
    quick = os.environ.get("QUICK", "0") not in ("", "0")
    about = ABOUT.format(load=os.getloadavg()[0])

    def told(rows: Iterator[Row]) -> list[Row]:
        found = []
        for row in rows:
            print(terminal(row), flush=True)
            found.append(row)
        return found

    rows = [*told(run.rows()), *told(remote.rows(quick)), *told(sync.rows(quick))]
    memory = sync.memory()
    print(f"  {memory}")
    if not quick:
        path = write("benchmarks-runs.md", [about, "", *table(rows), "", memory])
        print(f"wrote {os.path.relpath(path)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
