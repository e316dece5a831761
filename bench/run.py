"""`run-shell -- true` beside what it does, bare."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median

from bench.row import Row

RUNS = 30
LAUNCHER = str(Path(sys.executable).parent / "run-shell")


def timed(argv: Sequence[str], cwd: Path, env: dict[str, str]) -> float:
    """Milliseconds of a program, which must succeed."""
    start = time.perf_counter()
    subprocess.run(
        argv,
        cwd=cwd,
        env=env,
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return (time.perf_counter() - start) * 1e3


def in_turns(*actions: Callable[[], float]) -> list[float]:
    """The median of each; the machine's moods happen to all of them."""
    for action in actions:
        action()  # what is made once
    rounds = [[action() for action in actions] for _ in range(RUNS)]
    return [median(times) for times in zip(*rounds, strict=True)]


def base_image() -> str:
    """The image that scripts/engine.sh has made."""
    return Path(".cache/images").read_text().split()[0]


def in_venv(home: Path, env: dict[str, str]) -> Row:
    """The program itself, beside it."""
    root = home / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home / ".venv/venv"], check=True)
    bare, ours = in_turns(
        lambda: timed(["true"], root, env),
        lambda: timed([LAUNCHER, "--", "true"], root, env),
    )
    what = "run-shell -- true in a virtual environment"
    return Row(what, "the program itself", bare, ours, 80, over=True)


def in_docker(home: Path, env: dict[str, str], base: str) -> Iterator[Row]:
    """`docker run --rm` with the same mounts, beside it, and the line that it prints."""
    root = home / "docker"
    words = [LAUNCHER, "--env", "docker", "--image", base]
    timed([*words, "--", "true"], root, env)
    print_it = [*words, "--print", "--", "true"]
    line = subprocess.check_output(print_it, cwd=root, env=env, stderr=subprocess.DEVNULL)
    shown = line.decode().split()
    pairs = itertools.pairwise(shown)
    mounts = [f"--volume={value}" for option, value in pairs if option == "-v"]
    bare, same, ours = in_turns(
        lambda: timed(["docker", "run", "--rm", *mounts, base, "true"], root, env),
        lambda: timed(shown, root, env),
        lambda: timed([*words, "--", "true"], root, env),
    )
    what = "run-shell -- true in a container"
    yield Row(what, "docker run --rm, the same mounts", bare, ours, 1.25)
    yield Row(what, "docker run as it prints it", same, ours, 1.25)
    clean(root)


def clean(root: Path) -> None:
    """Remove the image and the volume that runs in `root` leave for the next one."""
    for kind, remove in (("image", "rmi"), ("volume", "volume rm")):
        filters = ["-qf", f"label=shellenv.project={root}"]
        found = subprocess.check_output(["docker", kind, "ls", *filters], text=True).split()
        for name in [*found, *found]:  # those that others were made from go last
            words = ["docker", *remove.split(), name]
            subprocess.run(words, check=False, capture_output=True)


def rows() -> Iterator[Row]:
    """What is found in a virtual environment and in a container of this machine."""
    with tempfile.TemporaryDirectory() as top:
        home = Path(top)
        env = {"HOME": top, "PATH": os.environ["PATH"], "USER": "bench"}
        for name in ("venv", "docker"):
            (home / name).mkdir()
        yield in_venv(home, env)
        yield from in_docker(home, env, base_image())
