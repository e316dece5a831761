"""Plans through the real templates into real shells and back, without project or cache."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from harness import Result, Shell, run, write

from shellenv import installation, render
from shellenv.config import Origin
from shellenv.plan import Alias, Directory, Plan, Value, Variable
from shellenv.shells import SHELLS

NOWHERE = Origin("", 0)
STALE = render.Guard(never=True)


def variables(values: Mapping[str, str | Value]) -> tuple[Variable, ...]:
    return tuple(
        Variable(name, (value,) if isinstance(value, str) else value, NOWHERE)
        for name, value in values.items()
    )


def aliases(values: Mapping[str, str]) -> tuple[Alias, ...]:
    return tuple(Alias(name, value, NOWHERE) for name, value in values.items())


def directories(paths: Iterable[str]) -> tuple[Directory, ...]:
    return tuple(Directory(path, NOWHERE) for path in paths)


def snippet(shell: str, plan: Plan, guard: render.Guard = STALE) -> str:
    return render.snippet(SHELLS[shell], plan, guard)


class Visit(NamedTuple):
    """What a shell's programs inherit before, inside and after, and what it said meanwhile."""

    before: dict[str, str]
    inside: dict[str, str]
    after: dict[str, str]
    result: Result


def visit(
    shell: Shell,
    plan: Plan,
    env: Mapping[str, str] = {},
    *,
    before: str = "",
    inside: str = "",
    after: str = "",
) -> Visit:
    """Apply `plan` in a new shell with `env`, then leave; with further code at each stage."""
    place = shell.home.path.parent
    rendered = write(place / f"snippet.{shell.name}", snippet(shell.name, plan))
    dumps = [place / f"{stage}.{shell.name}" for stage in ("before", "inside", "after")]
    dump = [f"/usr/bin/env -0 >|{shell.quote(path)}" for path in dumps]
    if shell.name == "fish":
        dump = [line.replace(">|", ">") for line in dump]
    static = shell.quote(f"{installation.static_dir()}/hook.{shell.name}")
    source = "source" if shell.name == "fish" else r"\."  # `before` may define an alias `.`
    lines = [
        f"{source} {static} --definitions",
        *(before, dump[0]),
        f"{source} {shell.quote(rendered)}",
        *("__shellenv_apply", inside, dump[1]),
        *("__shellenv_leave", after, dump[2]),
    ]
    script = write(place / f"visit.{shell.name}", "\n".join(lines) + "\n")
    result = run(shell.argv(script), {**shell.env, **env}, shell.home.path)
    before_it, inside_it, after_it = (environment(path.read_bytes()) for path in dumps)
    return Visit(before_it, inside_it, after_it, result)


def environment(dump: bytes) -> dict[str, str]:
    """What `env -0` printed, without what a shell gives each of its programs anew."""
    pairs = (os.fsdecode(entry).split("=", 1) for entry in dump.split(b"\0") if entry)
    return {name: value for name, value in pairs if name != "_"}


def outside(env: Mapping[str, str]) -> dict[str, str]:
    """`env` without what belongs to shellenv itself."""
    return {name: value for name, value in env.items() if not name.startswith("__SHELLENV_")}
