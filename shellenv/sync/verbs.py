"""`sync-up` and `sync-down`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from shellenv import detached, trust
from shellenv.cli import ask, at_terminal, parser, printable, say, write
from shellenv.connect import connected, named, resolve
from shellenv.context import Context
from shellenv.errors import ShellenvError
from shellenv.ssh import words
from shellenv.survey import survey_for_run
from shellenv.sync import bar, bracket, report, transfer, wish
from shellenv.sync.compare import (
    CONFLICT,
    DELETE_HERE,
    DELETE_THERE,
    PULL,
    PULL_MODE,
    PUSH,
    PUSH_MODE,
)
from shellenv.sync.settings import Settings, settings
from shellenv.sync.wish import DOWN, UP, EmptiedError, Outcome

if TYPE_CHECKING:
    import argparse

    from shellenv.sync.channel import Channel


def main(ctx: Context, args: Sequence[str], direction: str, channel: Channel | None = None) -> int:
    """Status 0 if all was brought over, also with conflicts; `channel`: one that may be used, to
    the dock of this shell. Raises ShellenvError otherwise."""
    chosen = _options(direction).parse_args(args)
    found = settings_of(ctx)
    if chosen.explain is not None:
        write(explain(ctx, found, chosen.explain))
        return 0
    chosen.dry_run |= chosen.print
    quiet = chosen.quiet or found.quiet
    with report.interruptible(direction):
        label, outcome = _sync(ctx, found, chosen, direction, quiet, channel)
    if chosen.json:
        write(report.as_json(outcome, label))
    elif chosen.print:
        write(commands(ctx, found, chosen.dock, outcome))
        for path in (path for path, what in outcome.planned if what == CONFLICT):
            say(f"shellenv: not in these lines: {os.fsdecode(path)} was changed on both sides")
    elif chosen.dry_run:
        lines = (f"{what:12} {printable(os.fsdecode(path))}\n" for path, what in outcome.planned)
        write("".join(lines))
    if not chosen.dry_run:
        say(*report.lines(outcome, label, quiet))
    elif not outcome.planned and not quiet:
        say(f"shellenv: {report.title(outcome, label)}: nothing would be done")
    if outcome.problem is not None:
        raise outcome.problem
    return 0


def _options(direction: str) -> argparse.ArgumentParser:
    options = parser(f"sync-{direction}")
    add = options.add_argument
    add("dock", metavar="DOCK", nargs="?", help="default: the one that this shell is docked to")
    add("--dry-run", action="store_true", help="list what would be done, and do nothing")
    add("--explain", metavar="PATH", help="say whether PATH is left out, and by which rule")
    add(
        "--print",
        action="store_true",
        help="print command lines that do it by hand, and do nothing",
    )
    add("--json", action="store_true", help="print what was done as JSON")
    add("-q", "--quiet", action="store_true", help="say only what needs you")
    add("--adopt", action="store_true", help="take the directory at the dock as this project's")
    add("--restore", action="store_true", help="one side is empty now: fill it from the other")
    add("--accept-empty", action="store_true", help="one side is empty now: empty the other, too")
    return options


def _sync(
    ctx: Context,
    found: Settings,
    chosen: argparse.Namespace,
    direction: str,
    quiet: bool,
    channel: Channel | None,
) -> tuple[str, Outcome]:
    """What the dock is called, and what came of the sync. Raises ShellenvError."""
    with connected(ctx, chosen.dock) as (where, facts):
        label = facts.moniker
        if direction == DOWN:
            detached.tell(ctx, where, facts)
        show = wish.quietly if quiet else say
        asked = wish.wish(found, (*where.ssh(), label), label, say, show, bar.bar)._replace(
            dry=chosen.dry_run,
            adopt=chosen.adopt,
            restore=chosen.restore,
            accept_empty=chosen.accept_empty,
        )
        try:
            return label, bracket.sync(ctx, asked, direction, channel)
        except EmptiedError as emptied:
            if at_terminal():
                say(f"shellenv: {emptied.message}")
            if not ask(f"Is that meant, and {emptied.other} to be emptied, too?"):
                raise
            return label, bracket.sync(ctx, asked._replace(accept_empty=True), direction)


def commands(ctx: Context, found: Settings, name: str | None, outcome: Outcome) -> str:
    """The command lines that do by hand what a sync would do, as a look at both sides has found
    out: deletions, then one rsync. What was changed on both sides is not in them: it takes more."""
    import shlex

    up = outcome.direction == UP
    ssh = ["ssh", *words(ctx, resolve(ctx, named(ctx, name)))]
    wanted = (PUSH, PUSH_MODE) if up else (PULL, PULL_MODE)
    moved = [path for path, what in outcome.planned if what in wanted]
    gone = [path for path, what in outcome.planned if what == (DELETE_THERE if up else DELETE_HERE)]
    lines = []
    if gone:  # what is in a directory before the directory
        paths = shlex.join(os.fsdecode(path) for path in reversed(gone))
        line = f"cd {shlex.quote(outcome.there if up else found.root)} && rm -df -- {paths}"
        lines.append(shlex.join([*ssh, line]) if up else f"({line})")
    if moved:
        listed = shlex.join(os.fsdecode(transfer.listed(path)) for path in moved)
        rsync = transfer.by_hand(ssh, found.root, outcome.there, up)
        lines.append(f"printf '%s\\0' {listed} | {shlex.join(rsync)}")
    return "".join(f"{line}\n" for line in lines)


def settings_of(ctx: Context) -> Settings:
    """The settings of the project that `ctx.cwd` is in. Raises ShellenvError."""
    found, project = survey_for_run(ctx)
    for blocked in found.blocked:
        if blocked.kind == "settings" and blocked.verdict != trust.DENIED:
            say(f"shellenv: not counted: {blocked.path} is {blocked.verdict}")
    return settings(ctx, found.config, project)


def explain(ctx: Context, found: Settings, path: str) -> str:
    """Whether a path is synced, or would be if it were here, and by which rule it is not: one line.
    What is not here is taken for a directory if the path ends with a slash."""
    full = os.path.join(os.path.realpath(ctx.cwd), path)
    full = os.path.normpath(full)
    if not f"{full}/".startswith(f"{found.root}/"):
        raise ShellenvError(f"{path} is not in {found.root}", "name a path of the project")
    relative = os.fsencode(os.path.relpath(full, found.root))
    here = os.path.lexists(full)
    directory = os.path.isdir(full) and not os.path.islink(full) if here else path.endswith("/")
    rule = found.rules.rule(relative, directory)
    would_be = "" if here else "not here; would be "
    why = "synced" if rule is None else f"left out by {rule} ({rule.origin})"
    return f"{path}: {would_be}{why}\n"
