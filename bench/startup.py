"""Why the first cd into a project takes as long as it does: the program's own start, in parts."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from bench.shells import spawn
from bench.tools import Tool, core
from bench.world import World


class Part(NamedTuple):
    """One reason, in milliseconds."""

    what: str
    milliseconds: float


class Breakdown(NamedTuple):
    """The parts of `shellenv export bash` with an empty cache, and its slowest imports."""

    whole: float
    parts: tuple[Part, ...]
    imports: tuple[Part, ...]


def breakdown(tool: Tool, made: World, runs: int) -> Breakdown:
    """Time the program whole and in parts, in turns, by processor time: the least of `runs`,
    since differences of medians are mostly noise."""
    python, *options, program = core()
    env = {**made.environment(tool), "PWD": str(made.project.inside)}
    launcher = str(made.local / "shellenv")
    commands = {
        "whole": [launcher, "export", "bash"],
        "core": [*core(), "export", "bash"],
        "site": [python, *options, "-c", "pass"],
        "interpreter": [python, *options, "-S", "-c", "pass"],
        "sh": ["/bin/sh", "-c", ":"],
    }
    times: dict[str, list[float]] = defaultdict(list)
    own: dict[str, list[float]] = defaultdict(list)
    below: dict[str, list[float]] = defaultdict(list)
    for _ in range(runs):
        for name, argv in commands.items():
            shutil.rmtree(made.cache, ignore_errors=True)
            # the directory by its name: the program believes $PWD only if it is the current one
            used = spawn(_at(made.project.inside, argv), env, processor=True)
            times[name].append(used / 1e3)
        shutil.rmtree(made.cache, ignore_errors=True)
        for module, alone, together in _import_times(
            [python, *options, "-X", "importtime", program, "export", "bash"],
            env,
            made.project.inside,
        ):
            own[module].append(alone)
            below[module].append(together)
    spent = {name: min(values) for name, values in times.items()}
    cd = spent["sh"]  # each of the others went through an sh, too
    imported = {module: min(values) for module, values in own.items()}
    start = _modules_at_start([python, *options])
    groups: dict[str, float] = defaultdict(float)
    for module, milliseconds in imported.items():
        if module not in start:
            groups[_group(module)] += milliseconds
    launched = spent["whole"] - spent["core"]
    parts = [
        Part("the launcher (`sh`), which finds and becomes the Python program", launched),
        Part("the interpreter", spent["interpreter"] - cd),
        Part("`site`: finding what is installed", spent["site"] - spent["interpreter"]),
        *(Part(f"importing {group}", milliseconds) for group, milliseconds in groups.items()),
    ]
    whole = spent["whole"] - cd
    rest = whole - sum(part.milliseconds for part in parts)
    parts.append(Part("reading, planning, rendering and keeping the snippet; ending", rest))
    slowest = sorted(
        (Part(module, min(values)) for module, values in below.items() if module not in start),
        key=lambda part: -part.milliseconds,
    )
    return Breakdown(whole, tuple(parts), tuple(slowest[:15]))


def _at(directory: Path, argv: list[str]) -> list[str]:
    return ["/bin/sh", "-c", 'cd "$0" && exec "$@"', str(directory), *argv]


def _group(module: str) -> str:
    top = module.partition(".")[0]
    if top == "shellenv":
        return "shellenv's own modules"
    if top in ("jinja2", "markupsafe"):
        return "Jinja"
    return "the standard library"


def _import_times(
    argv: list[str], env: dict[str, str], cwd: Path
) -> list[tuple[str, float, float]]:
    """Of each module: its name, milliseconds for itself, and with what it imports."""
    done = subprocess.run(argv, env=env, cwd=cwd, capture_output=True, text=True, check=True)
    lines = re.findall(r"^import time: +(\d+) \| +(\d+) \| +(\S+)$", done.stderr, re.M)
    return [(name, int(alone) / 1e3, int(together) / 1e3) for alone, together, name in lines]


def _modules_at_start(python: list[str]) -> set[str]:
    code = "import sys; print(*sys.modules)"
    return set(subprocess.check_output([*python, "-c", code], text=True).split())
