"""What was measured, as text for a terminal and as docs/benchmarks.md."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bench.measure import BARE, COLD, Results
from bench.shells import SHELLS, Calls
from bench.startup import Breakdown
from bench.tools import Tool
from bench.world import ENVIRONMENTS

ACTIONS = (
    "idle prompt outside",
    "idle prompt inside",
    "cd in",
    "cd in alone",
    "cd out",
    COLD,
    "start-up",
    "start-up and first prompt",
)
TOOLS = ("shellenv", "direnv", "mise", BARE)
REASONS = "The first cd in, with an empty cache: reasons per millisecond"
WANTED = "What is wanted"
QUIET = ("idle prompt outside", "idle prompt inside", "cd in", "cd out")
WHY_IDLE = (
    "what is watched, and what is looked for in the directory and above it, makes a dozen file "
    "tests, each a system call and three words of a `test`, which takes fish a microsecond a word"
)
WHY_CD = (
    "fish's own cd, a function, takes half of what is allowed; what is watched is looked at twice, "
    "at the cd and at the prompt; and what aliases were defined is kept, to see what is changed"
)
WHY_BY_HAND = (
    "it also finds the project, checks the snippet, keeps what was there before, sets three "
    "aliases and the prompt marker, and publishes the undo log"
)


class Target(NamedTuple):
    """Something that is wanted: the value found in one shell, and whether that is enough."""

    what: str
    shell: str
    found: str
    met: bool
    why: str  # where it is not met


def shown(microseconds: float | None) -> str:
    """A time with three digits."""
    if microseconds is None:
        return ""
    if microseconds < 999.5:
        return f"{microseconds:.0f} µs"
    digits = 2 if microseconds < 9995 else 1 if microseconds < 99950 else 0
    return f"{microseconds / 1e3:.{digits}f} ms"


def table(results: Results, shell: str) -> list[list[str]]:
    """A row for each action: times, ratios, and forks + execs."""
    head = ["", *TOOLS, "better peer ÷", "mise ÷", "÷ by hand", "forks+execs"]
    rows = [head]
    for action in ACTIONS:
        times = [results.medians.get((shell, tool, action)) for tool in TOOLS]
        ours, direnv, mise, bare = times
        peers = [time for time in (direnv, mise) if time is not None]
        calls = [results.calls.get((shell, tool, action)) for tool in TOOLS[:3]]
        rows.append(
            [
                action,
                *map(shown, times),
                _ratio(min(peers, default=None), ours),
                _ratio(mise, ours),
                _ratio(ours, bare) if action.startswith(("cd", "start")) else "",
                " / ".join(str(call) if call else "?" for call in calls) if any(calls) else "",
            ]
        )
    return rows


def _ratio(more: float | None, less: float | None) -> str:
    if more is None or not less:
        return ""
    return f"{more / less:.1f}" if more < 10 * less else f"{more / less:.0f}"


def targets(results: Results) -> Iterator[Target]:
    """What the project wants of itself."""
    for shell in (shell.name for shell in SHELLS):
        at = {
            (tool, action): results.medians[shell, tool, action]
            for (name, tool, action) in results.medians
            if name == shell
        }
        if ("shellenv", COLD) not in at:
            continue
        calls = [results.calls.get((shell, "shellenv", action), Calls(-1, -1)) for action in QUIET]
        yield Target(
            "no fork, no exec at an idle prompt, at a warm cd in or out",
            shell,
            ", ".join(map(str, calls)),
            all(call == Calls(0, 0) for call in calls),
            "",
        )
        for action in QUIET[:2]:
            better = min(at["direnv", action], at["mise", action])
            yield _at_most(
                f"{action}: at most 1/40 of the better peer's (aim 1/100)",
                shell,
                at["shellenv", action] / better,
                1 / 40,
                WHY_IDLE,
            )
        for action in ("cd in", "cd out"):
            yield _at_most(
                f"{action}, warm: at most 1/25 of mise's (aim 1/40)",
                shell,
                at["shellenv", action] / at["mise", action],
                1 / 25,
                WHY_CD,
            )
        for action, what in (("cd in alone", "cd in, the command"), ("cd in", "… and its prompt")):
            yield _at_most(
                f"{what}: at most 3 times a hand-written activate and ten exports",
                shell,
                at["shellenv", action] / at[BARE, action],
                3,
                WHY_BY_HAND,
            )
        yield _at_most(
            "start-up with the hook: at most direnv's",
            shell,
            at["shellenv", "start-up"] / at["direnv", "start-up"],
            1,
            "the hook's functions are parsed at every start",
        )
        yield _at_most(
            "first cd in, with an empty cache: at most 3 times direnv's",
            shell,
            at["shellenv", COLD] / at["direnv", COLD],
            3,
            "Python starts, and imports what it needs: see the reasons per millisecond",
        )
        yield _at_most(
            f"… no slower with {ENVIRONMENTS:,} environments (10 % are noise)",
            shell,
            results.slower[shell],
            1.1,
            "the directory of environments is never listed: a busy machine makes such differences",
        )
        yield Target(  # a wrong one would have ended the measurements
            f"{results.crowd_size} shells entering at once, with an empty cache: each is right",
            shell,
            f"{results.crowd[shell, 'shellenv']:.1f} s",
            True,
            "",
        )


def _at_most(what: str, shell: str, ratio: float, limit: float, why: str) -> Target:
    found = f"1/{1 / ratio:.0f}" if limit < 1 else f"{ratio:.2f}"
    return Target(what, shell, found, ratio <= limit, why)


def terminal(results: Results, parts: Breakdown) -> Iterator[str]:
    """Everything, for people at a terminal."""
    for title, rows in _tables(results, parts):
        yield ""
        yield title
        if title == WANTED:
            rows = [row[:-1] for row in rows]  # why not: see docs/benchmarks.md
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            cells = [row[0].ljust(widths[0])]
            cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
            yield "  ".join(cells).rstrip()
    yield ""
    yield from results.skipped


def markdown(results: Results, parts: Breakdown, tools: tuple[Tool, ...], quick: bool) -> str:
    """docs/benchmarks.md."""
    versions = [f"{tool.name} {tool.version}" for tool in tools if tool.version]
    versions += [
        f"{shell.name} {shell.version}" for shell in SHELLS if _measured(results, shell.name)
    ]
    text = HEADER.format(
        quick="This was a quick run (`QUICK=1`), with few samples.\n\n" if quick else "",
        date=time.strftime("%Y-%m-%d"),
        versions=", ".join([*versions, f"Python {platform.python_version()}"]),
        machine=machine(),
        load=f"{results.load:.1f} other processes at work on it, on average",
    )
    for title, rows in _tables(results, parts):
        text += f"\n## {title}\n\n{NOTES.get(title, '')}"
        head, *body = rows
        rule = ["---", *("---:" for _ in head[1:])]
        for row in (head, rule, *body):
            text += "| " + " | ".join(row) + " |\n"
    if results.skipped:
        text += "\n## Not measured\n\n" + "".join(f"- {line}\n" for line in results.skipped)
    return text


def machine() -> str:
    """This machine in words that identify nobody."""
    release = {}
    path = Path("/etc/os-release")
    if path.exists():
        pairs = (line.partition("=") for line in path.read_text().splitlines())
        release = {name: value.strip('"') for name, _, value in pairs}
    system = release.get("PRETTY_NAME") or platform.system()
    kernel = f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}"
    return f"{os.cpu_count()} cores, {system}, {kernel}, {platform.machine()}"


def _measured(results: Results, shell: str) -> bool:
    return any(name == shell for name, _, _ in results.medians)


def _tables(results: Results, parts: Breakdown) -> Iterator[tuple[str, list[list[str]]]]:
    wanted: dict[str, dict[str, Target]] = {}
    for target in targets(results):
        wanted.setdefault(target.what, {})[target.shell] = target
    names = [shell.name for shell in SHELLS if _measured(results, shell.name)]
    rows = [["wanted", *names, "where it is not met"]]
    for what, by_shell in wanted.items():
        row = [what]
        for name in names:
            found = by_shell.get(name)
            row.append(f"{found.found}, {'met' if found.met else 'NOT MET'}" if found else "")
        missed = [target.why for target in by_shell.values() if not target.met]
        rows.append([*row, missed[0] if missed else ""])
    yield WANTED, rows
    for name in names:
        yield name, table(results, name)
    rows = [["", "ms"]]
    rows += [[part.what, f"{part.milliseconds:.1f}"] for part in parts.parts]
    yield (
        REASONS,
        [
            *rows,
            ["`shellenv export bash`, all in all", f"{parts.whole:.1f}"],
        ],
    )
    yield (
        "Its slowest imports",
        [
            ["module, with what it imports", "ms"],
            *([part.what, f"{part.milliseconds:.1f}"] for part in parts.imports),
        ],
    )
    yield (
        "Environments in ~/.venv",
        [
            ["the first cd in, empty cache", "2", f"{ENVIRONMENTS:,}"],
            *(
                [name, *(shown(results.environments[name, number]) for number in (2, ENVIRONMENTS))]
                for name in names
                if (name, 2) in results.environments
            ),
        ],
    )
    rows = [["", "shell", "tool", COLD, *ACTIONS[:3], "cd out"]]
    for growth in results.growth:
        times = (growth.microseconds.get(action) for action in rows[0][3:])
        rows.append([growth.what, growth.shell, growth.tool, *map(shown, times)])
    yield "Growth", rows
    yield (
        f"{results.crowd_size} shells entering at once",
        [
            ["shell", "tool", "until the last was in and out", "a shell"],
            *(
                [shell, tool, f"{seconds:.2f} s", shown(seconds * 1e6 / results.crowd_size)]
                for (shell, tool), seconds in results.crowd.items()
            ),
        ],
    )


HEADER = """\
# Benchmarks

Written by `make bench`, which installs what it compares, makes a throw-away home with one tree for
all, and lets the tools take turns, shell by shell. Times are medians.

{quick}{date}; {versions}. Machine: {machine}; {load}.

The project has a virtual environment, {variables} variables and {aliases} aliases. direnv has no
aliases: it gets `source …/activate` and the exports. "By hand" is the same two things typed, and
undone by `deactivate` and `unset`. A cd lasts from Enter until the prompt is there, with all that a
tool does at it; "cd in alone" ends with the command. Forks and execs are those of shellenv,
direnv and mise, counted by strace; threads are no forks.
"""

HEADER = HEADER.replace("{variables}", "ten").replace("{aliases}", "three")

NOTES = {
    REASONS: "Processor time, the least of all runs, since these are differences. Templates are "
    "compiled when the package is built (`hatch_build.py`): importing Jinja and compiling one "
    "here would take another 30 to 40 ms.\n\n",
    "Its slowest imports": "By `python -X importtime`, which makes everything a little slower.\n\n",
    "Growth": "Each shell checked that its environment was right, inside and outside.\n\n",
}


def write(text: str) -> Path:
    """Put `text` where it belongs, and say where that is."""
    path = Path(__file__).resolve().parent.parent / "docs/benchmarks.md"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def say(text: str) -> None:
    """Progress, for people."""
    print(f"bench: {text}", file=sys.stderr, flush=True)
