"""What many known docks cost: `dock`, `ls-dock`, completion with 10 and with 1,000."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from subprocess import run

from shellenv.docks import Dock, block

COUNTS = (10, 1000)
DOCKERUTILS = "DOCK_USER=ubuntu\nDOCK_MONIKER={0}\nDOCK_HOSTNAME={1}\nDOCK_IP={1}\n"
BIN = Path(sys.executable).parent
COMPLETE = 'eval "$(shellenv hook bash)"; COMP_CWORD=1; __shellenv_dock_complete dock dock7 dock'


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


def known_docks(runs: int) -> dict[str, dict[int, float]]:
    """Medians in ms, taken in turns, by what is done and by the number of docks. `dock` gets as far
    as the connection, which fails: there is no ssh."""
    programs = {
        "dock": [str(BIN / "shellenv"), "dock", "--for", "bash", "1", "dock5"],
        "ls-dock --json --offline": [str(BIN / "shellenv"), "ls-dock", "--json", "--offline"],
        "completion (bash)": ["bash", "--norc", "-c", COMPLETE],
    }
    times: dict[str, dict[int, list[float]]] = {
        what: {count: [] for count in COUNTS} for what in programs
    }
    with tempfile.TemporaryDirectory() as top:
        bare = Path(top, "bin")
        bare.mkdir()
        for name in ("sh", "readlink", "bash"):
            (bare / name).symlink_to(f"/bin/{name}")
        for count in COUNTS:
            populate(Path(top, str(count)), count)
        for _ in range(runs):
            for what, argv in programs.items():
                for count in COUNTS:
                    env = {
                        "HOME": f"{top}/{count}",
                        "PATH": f"{BIN}:{bare}",
                        "XDG_RUNTIME_DIR": top,
                    }
                    start = time.perf_counter()
                    done = run(argv, env=env, capture_output=True, check=False)
                    times[what][count].append((time.perf_counter() - start) * 1e3)
                    if what.startswith("ls-dock"):
                        assert len(json.loads(done.stdout)) == count
                    if what == "dock":
                        assert b"ssh is not in PATH" in done.stderr, done.stderr
    return {
        what: {count: median(found) for count, found in by_count.items()}
        for what, by_count in times.items()
    }


if __name__ == "__main__":
    print(known_docks(30), os.getloadavg())
