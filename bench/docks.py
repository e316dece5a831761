"""`python -m bench.docks`: `ls-dock --json --offline` with 10 known docks and with 1,000."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from subprocess import check_output

from shellenv.docks import Dock, block

COUNTS = (10, 1000)
RUNS = 30
DOCKERUTILS = "DOCK_USER=ubuntu\nDOCK_MONIKER={0}\nDOCK_HOSTNAME={1}\nDOCK_IP={1}\n"


def populate(home: Path, count: int) -> None:
    """A home with that many docks, half of them dockerutils'."""
    docks = [Dock(f"dock{n}", f"10.0.{n // 250}.{n % 250}", "ubuntu", 2222) for n in range(count)]
    (home / ".config/shellenv").mkdir(parents=True)
    (home / ".config/shellenv/ssh_config").write_text("\n".join(map(block, docks[::2])))
    for dock in docks[1::2]:
        directory = home / ".docker" / dock.host
        directory.mkdir(parents=True)
        text = DOCKERUTILS.format(dock.moniker, dock.host)
        (directory / "connection_config.txt").write_text(text)


def main() -> int:
    """Print the medians, taken in turns, and their ratio; it should not be above 2."""
    program = [str(Path(sys.executable).parent / "shellenv"), "ls-dock", "--json", "--offline"]
    times: dict[int, list[float]] = {count: [] for count in COUNTS}
    with tempfile.TemporaryDirectory() as top:
        for count in COUNTS:
            populate(Path(top, str(count)), count)
        for _ in range(RUNS):
            for count in COUNTS:
                env = {"HOME": f"{top}/{count}", "PATH": os.environ["PATH"]}
                start = time.perf_counter()
                output = check_output(program, env=env)
                times[count].append((time.perf_counter() - start) * 1e3)
                assert len(json.loads(output)) == count
    few, many = (median(times[count]) for count in COUNTS)
    print("ls-dock --json --offline, half of the docks dockerutils'")
    for count, found in zip(COUNTS, (few, many), strict=True):
        print(f"  {count:5} docks  {found:6.1f} ms")
    print(f"  ratio        {many / few:6.2f}     wanted: at most 2")
    return 0


if __name__ == "__main__":
    sys.exit(main())
