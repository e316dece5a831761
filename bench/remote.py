"""`run-shell -- true` at a dock, beside rsync, `docker run` and rsync."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import median

from bench.dock import Docked, run, timed
from bench.harbour import Harbour, harbour
from bench.row import Row
from bench.run import base_image, clean

COUNTS = (10_000, 100_000)
WANTED = {10_000: 1.2, 100_000: 1.3}
FIRSTS = {10_000: 9, 100_000: 3}
HOST = "near-0ms"


def populate(root: Path, count: int) -> None:
    """A project of that many small files, a hundred in a directory."""
    for number in range(count):
        if number % 100 == 0:
            (root / f"d{number // 100:04}").mkdir(parents=True)
        (root / f"d{number // 100:04}" / f"f{number % 100:02}.txt").write_text(f"{number}\n")


def docked(made: Harbour, shell: Docked) -> dict[str, str]:
    """The environment of a docked shell."""
    hook = run(made, ["shellenv", "hook", "bash"]).replace("--install", "--definitions")
    argv = ["shellenv", "dock", "--for", "bash", str(shell.shell.pid), HOST]
    script = f"{hook}__shellenv_load_dock\n{run(made, argv)}env -0"
    words = run(made, ["bash", "-c", script]).split("\0")
    return dict(word.split("=", 1) for word in words if "=" in word)


def measure(made: Harbour, count: int, runs: int, firsts: int, base: str) -> list[float]:
    """Medians in ms: rsync, docker and rsync with nothing to bring over, and run-shell; an rsync
    to where nothing is, and sync-up.

    The latter bring a new project to a new place each time. Nothing is removed before the end: for
    a minute afterwards, ext4 takes several times as long to make a file.
    """
    home = Path(made.env["HOME"])
    far = made.base / "far"
    config = home / ".config/shellenv/dockerutils.cfg"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(f"[shellenv.run]\nimage = {base}\n[shellenv.sync]\nremote_root = {far}\n")
    shell = Docked(made, HOST)
    env = docked(made, shell)
    place = env["DOCKER_HOST"].removeprefix("unix://").removesuffix("/docker.sock")
    ssh = f"ssh -F none -S {place}/control"

    def call(argv: list[str]) -> None:
        done = subprocess.run(argv, cwd=root, env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{shlex.join(argv)}: {done.stderr}")

    times: dict[str, list[float]] = {"rsync": [], "sync-up": []}
    for number in range(firsts):
        root, bare = home / f"p{count}-{number}", made.base / f"bare{count}-{number}"
        populate(root, count)
        mounts = ["-v", f"{bare}:{root}", "--workdir", str(root)]
        steps = [
            ["rsync", "-a", "--delete", "-e", ssh, f"{root}/", f"{HOST}:{bare}/"],
            ["docker", "run", "--rm", "--init", *mounts, base, "true"],
            ["rsync", "-a", "-e", ssh, f"{HOST}:{bare}/", f"{root}/"],
        ]
        pair = (steps[0], ["sync-up"])
        for argv in pair if number % 2 else pair[::-1]:
            times[argv[0]].append(timed(partial(call, argv)))

    ours = ["run-shell", "--", "true"]
    call(ours)
    pairs = [
        (sum(timed(partial(call, step)) for step in steps), timed(lambda: call(ours)))
        for _ in range(runs)
    ]
    shell.__exit__()
    clean(root)
    return [median(taken) for taken in (*zip(*pairs, strict=True), *times.values())]


def rows(quick: bool) -> Iterator[Row]:
    """What is found at a dock, for each number of files."""
    base = base_image()
    with harbour((0,)) as made:
        for count in COUNTS[: 1 if quick else 2]:
            runs, firsts = (3, 3) if quick else (9, FIRSTS[count])
            theirs, ours, first, first_ours = measure(made, count, runs, firsts, base)
            what = f"run-shell -- true at a dock, {count:,} files, nothing to sync"
            yield Row(what, "rsync, docker run --rm, rsync", theirs, ours, WANTED[count])
            what = f"sync-up as a command, {count:,} files, the first time"
            yield Row(what, "rsync -a", first, first_ours, 1.15)
