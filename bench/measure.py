"""The measurements: which action, how often, in which order."""

from __future__ import annotations

import os
import shutil
from collections import defaultdict
from collections.abc import Callable, Mapping
from statistics import median
from typing import NamedTuple

from bench.shells import SHELLS, Calls, Shell
from bench.tools import Tool
from bench.world import ENVIRONMENTS, World, world

COLD = "first cd in"
BARE = "by hand"


class Effort(NamedTuple):
    """How often each thing is done. A round is one shell of each tool, one after the other."""

    rounds: int
    prompts: int  # idle prompts a round, where no process is started
    cds: int
    starts: int
    cold: int
    crowd: int

    def of(self, tool: Tool) -> tuple[int, int]:
        """Prompts and cds a round. Who starts processes gets fewer, to be done in time."""
        slow = tool.name in ("direnv", "mise")
        return (self.prompts // 8, self.cds // 4) if slow else (self.prompts, self.cds)


FULL = Effort(rounds=12, prompts=80, cds=24, starts=25, cold=15, crowd=200)
QUICK = Effort(rounds=2, prompts=40, cds=8, starts=3, cold=3, crowd=40)

Medians = Mapping[tuple[str, str, str], float]
"""Microseconds, by shell, tool and action."""


class Growth(NamedTuple):
    """What a tool makes of something large, in one shell. Each environment was right."""

    what: str
    shell: str
    tool: str
    microseconds: Mapping[str, float]  # by action


class Results(NamedTuple):
    """All that was measured."""

    medians: Medians
    calls: Mapping[tuple[str, str, str], Calls]
    environments: Mapping[tuple[str, int], float]  # the first cd in, by shell and their number
    slower: Mapping[str, float]  # by how much with many of them: the median of the pairs' ratios
    growth: tuple[Growth, ...]
    crowd: Mapping[tuple[str, str], float]  # seconds, by shell and tool
    crowd_size: int
    skipped: tuple[str, ...]
    load: float  # what else the machine was doing: its load average when this began


class Pair(NamedTuple):
    """A tool in a shell: what can be measured."""

    shell: Shell
    tool: Tool


def measure(tools: tuple[Tool, ...], effort: Effort, say: Callable[[str], None]) -> Results:
    """Everything, in throw-away homes. The tools take turns, run by run: when the machine grows
    faster or slower meanwhile, that happens to all of them.
    """
    load = os.getloadavg()[0]
    pairs, skipped = [], []
    for shell in SHELLS:
        for tool in tools:
            reason = shell.missing(tool)
            if reason:
                skipped.append(f"{shell.name}, {tool.name}: skipped, {reason}")
                say(skipped[-1])
            else:
                pairs.append(Pair(shell, tool))
    with world(tools, growth=True) as made:
        say("processes")
        calls = {
            (shell.name, tool.name, action): counted
            for shell, tool in pairs
            for action, counted in shell.processes(tool, made.project, made).items()
        }
        say("prompts and cd")
        samples: dict[tuple[str, str, str], list[float]] = defaultdict(list)
        for _ in range(effort.rounds):
            for shell, tool in pairs:
                taken = shell.drive(tool, made.project, made, *effort.of(tool))
                for action, times in taken.items():
                    if action != COLD:
                        samples[shell.name, tool.name, action] += times
        say("start-up")
        for _ in range(effort.starts):
            for shell, tool in pairs:
                for prompt, action in enumerate(("start-up", "start-up and first prompt")):
                    time = shell.start(tool, made, prompt=bool(prompt))
                    samples[shell.name, tool.name, action].append(time)
        with world(_ours(tools), environments=ENVIRONMENTS) as crowded:
            say("first cd")
            many: dict[tuple[str, int], list[float]] = defaultdict(list)
            for _ in range(effort.cold):
                for shell, tool in pairs:
                    time = cold(shell, tool, made)
                    samples[shell.name, tool.name, COLD].append(time)
                    if tool.name == "shellenv":
                        many[shell.name, 2].append(time)
                        many[shell.name, ENVIRONMENTS].append(cold(shell, tool, crowded))
        say("growth")
        growth = _growth(pairs, made, effort)
        say(f"{effort.crowd} shells at once")
        crowd = {}
        for shell, tool in pairs:
            if tool.name == "shellenv" or (shell.name == "bash" and tool.name != BARE):
                shutil.rmtree(made.cache, ignore_errors=True)
                crowd[shell.name, tool.name] = shell.crowd(tool, made.project, made, effort.crowd)
    return Results(
        {key: median(times) for key, times in samples.items()},
        calls,
        {key: median(times) for key, times in many.items()},
        {
            shell: median(
                b / a for a, b in zip(many[shell, 2], many[shell, ENVIRONMENTS], strict=True)
            )
            for shell, number in many
            if number == 2
        },
        growth,
        crowd,
        effort.crowd,
        tuple(skipped),
        load,
    )


def _ours(tools: tuple[Tool, ...]) -> tuple[Tool, ...]:
    return tuple(tool for tool in tools if tool.name == "shellenv")


def cold(shell: Shell, tool: Tool, made: World) -> float:
    """Microseconds of the first cd into the project, shellenv's cache being empty."""
    shutil.rmtree(made.cache, ignore_errors=True)
    return shell.drive(tool, made.project, made)[COLD][0]


def _growth(pairs: list[Pair], made: World, effort: Effort) -> tuple[Growth, ...]:
    """Each case in each shell, the peers only in the first: that they take long is their affair.

    `drive` fails if an environment is not what it must be.
    """
    cases = {
        "100 levels below the project, 100 levels deep outside": made.deep,
        "100 projects inside each other": made.nested,
        "1,000 variables": made.many,
    }
    found = []
    for what, case in cases.items():
        for shell, tool in pairs:
            ours = tool.name == "shellenv"
            if not ours and (tool.name == BARE or shell is not SHELLS[0]):
                continue
            if tool.name == "direnv" and case is made.nested:
                continue  # it knows only the innermost
            shutil.rmtree(made.cache, ignore_errors=True)
            times: dict[str, list[float]] = defaultdict(list)
            for _ in range(max(1, effort.rounds // 4) if ours else 1):
                # mise takes seconds for that many projects: once is enough
                often = (10, 5) if ours else (0, 0) if case is made.nested else (3, 1)
                for action, taken in shell.drive(tool, case, made, *often).items():
                    times[action] += taken
            # the first of all is the one with an empty cache
            medians = {name: median(taken) for name, taken in times.items()}
            medians[COLD] = times[COLD][0]
            found.append(Growth(what, shell.name, tool.name, medians))
    return tuple(found)
