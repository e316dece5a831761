"""`python -m bench.dock`: docker here, docked, and by its own ssh, at three distances."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from statistics import median

from bench.docks import COUNTS, known_docks
from bench.harbour import Harbour, harbour

DISTANCES = (0, 20, 100)
LOCAL = "unix:///var/run/docker.sock"
WAYS = ("local", "docked", "ssh://, ControlMaster", "ssh://")
ACTIONS = ("docker ps", "docker images", "docker-py ping")
FILE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks-docks.md"

Table = dict[tuple[int, str, str], float]


def main() -> int:
    """Measure, print, and write docs/benchmarks-docks.md."""
    quick = os.environ.get("QUICK", "0") not in ("", "0")
    runs = 3 if quick else 15
    load = os.getloadavg()[0]
    with harbour(DISTANCES) as made:
        table: Table = {}
        for distance in DISTANCES:
            table |= clients(made, distance, runs if distance < 100 else max(3, runs // 2))
        docking = opening(made, runs)
    known = known_docks(runs * 2)
    lines = report(table, docking, known, load)
    print("\n".join(lines))
    if not quick:
        FILE.write_text("\n".join(lines) + "\n", encoding="utf-8")
        print(f"wrote {os.path.relpath(FILE)}")
    return 0


def timed(action: Callable[[], object]) -> float:
    """Milliseconds."""
    start = time.perf_counter()
    action()
    return (time.perf_counter() - start) * 1e3


def clients(made: Harbour, distance: int, runs: int) -> Table:
    """Each client by each way, in turns; medians in ms, by distance, action and way."""
    import docker

    near, far = f"near-{distance}ms", f"far-{distance}ms"
    with Docked(made, near) as address:
        hosts = dict(zip(WAYS, (LOCAL, address, f"ssh://{far}", f"ssh://{near}"), strict=True))
        os.environ["PATH"] = made.env["PATH"]  # docker-py starts the ssh that it finds
        engines = {
            way: docker.DockerClient(
                base_url=f"ssh://root@{host[6:]}:{made.ports[distance]}", use_ssh_client=True
            )
            if host.startswith("ssh:")
            else docker.DockerClient(base_url=host)
            for way, host in hosts.items()
        }
        found: dict[tuple[int, str, str], list[float]] = {}
        for _ in range(runs):
            for way, host in hosts.items():
                for word in ("ps", "images"):
                    took = timed(partial(run, made, ["docker", "-H", host, word]))
                    found.setdefault((distance, f"docker {word}", way), []).append(took)
                took = timed(engines[way].ping)
                found.setdefault((distance, "docker-py ping", way), []).append(took)
        for engine in engines.values():
            engine.close()
        with suppress(subprocess.CalledProcessError):
            run(made, ["ssh", "-O", "exit", far])
    return {key: median(times) for key, times in found.items()}


def run(made: Harbour, argv: list[str]) -> str:
    done = subprocess.run(argv, env=made.env, check=True, capture_output=True, text=True)
    return done.stdout


class Docked:
    """A process that stands for a docked shell, and $DOCKER_HOST there."""

    def __init__(self, made: Harbour, host: str) -> None:
        self.made, self.host = made, host
        self.shell = subprocess.Popen(["sleep", "3600"])

    def dock(self) -> str:
        argv = ["shellenv", "dock", "--for", "bash", str(self.shell.pid), self.host]
        code = run(self.made, argv)
        return code.partition("DOCKER_HOST=")[2].partition("'")[0]

    def __enter__(self) -> str:
        return self.dock()

    def __exit__(self, *_: object) -> None:
        self.shell.kill()
        self.shell.wait()
        top = self.made.base / "run" / "shellenv"
        while any(top.glob(f"{self.host[:12]}-*/alive")):
            time.sleep(0.05)


def opening(made: Harbour, runs: int) -> dict[str, float]:
    """Docking, beside what ssh takes to connect; medians in ms."""
    found: dict[str, list[float]] = {"ssh HOST true": [], "dock, first": [], "dock, again": []}
    for _ in range(runs):
        found["ssh HOST true"].append(timed(lambda: run(made, ["ssh", "near-0ms", "true"])))
        docked = Docked(made, "near-0ms")
        found["dock, first"].append(timed(docked.dock))
        found["dock, again"].append(timed(docked.dock))
        docked.__exit__()
    return {what: median(times) for what, times in found.items()}


# --- what comes of it ---------------------------------------------------------------------------


def report(
    table: Table, docking: dict[str, float], known: dict[str, dict[int, float]], load: float
) -> list[str]:
    """The document."""
    lines = [
        "# Benchmarks: docks",
        "",
        "Written by `make bench`. The dock is this machine, by way of its own sshd and a proxy",
        "that adds a round-trip time, so that the engine is the same at both ends. Medians in ms,",
        f"taken in turns; {load:.1f} other processes at work when this began.",
        "",
        "| round trip | | " + " | ".join(WAYS) + " | docked ÷ local |",
        "| ---: | --- |" + " ---: |" * (len(WAYS) + 1),
    ]
    for distance in DISTANCES:
        for action in ACTIONS:
            times = [table[distance, action, way] for way in WAYS]
            row = " | ".join(f"{value:.1f}" for value in times)
            lines.append(f"| {distance} ms | {action} | {row} | {times[1] / times[0]:.2f} |")
    near = [table[0, action, "docked"] / table[0, action, "local"] for action in ACTIONS]
    slower = [
        f"{action} at {distance} ms"
        for distance in DISTANCES
        for action in ACTIONS
        if table[distance, action, "docked"] > min(table[distance, action, way] for way in WAYS[2:])
    ]
    first = docking["dock, first"] - docking["ssh HOST true"]
    targets = [
        ("docked at 0 ms: at most 1.15 times local", f"{max(near):.2f}", max(near) <= 1.15),
        ("never slower than either ssh://", ", ".join(slower) or "never", not slower),
        (
            "dock, the connection being there: at most 60 ms",
            f"{docking['dock, again']:.0f} ms",
            docking["dock, again"] <= 60,
        ),
        ("dock, first: at most `ssh HOST true` plus 120 ms", f"plus {first:.0f} ms", first <= 120),
    ]
    for what, by_count in known.items():
        ratio = by_count[COUNTS[1]] / by_count[COUNTS[0]]
        targets.append(
            (
                f"{what}, 1,000 known docks: at most twice the time for 10",
                f"{ratio:.2f}",
                ratio <= 2,
            )
        )
    lines += ["", "| wanted | found | |", "| --- | ---: | --- |"]
    lines += [
        f"| {what} | {found} | {'met' if met else 'NOT MET'} |" for what, found, met in targets
    ]
    lines += ["", "| docking | ms |", "| --- | ---: |"]
    lines += [f"| {what} | {value:.0f} |" for what, value in docking.items()]
    lines += ["", "| known docks | 10 | 1,000 |", "| --- | ---: | ---: |"]
    lines += [f"| {what} | {took[10]:.1f} | {took[1000]:.1f} |" for what, took in known.items()]
    return lines


if __name__ == "__main__":
    sys.exit(main())
