"""`allow` and `deny`: a person's word on a project's files."""

from __future__ import annotations

import os
from collections.abc import Sequence

from shellenv import paths, project, trust
from shellenv.cli import parser, say
from shellenv.context import Context
from shellenv.errors import ShellenvError
from shellenv.survey import survey


def allow(ctx: Context, args: Sequence[str]) -> int:
    """`shellenv allow [DIR]`: approve every file that waits for approval in DIR, as it is now.

    Raises ShellenvError if a project there has no files of its own, if one of them can be written
    by others (then it and those found with it stay as they were), or if one does not parse.
    """
    there = _there(ctx, "allow", args)
    if not governed(there):
        raise _nothing(there)
    approved: list[str] = []
    while True:
        # Settings may name further files, which are only known once the settings count.
        found = survey(there)
        waiting = sorted({blocked.path for blocked in found.blocked} - set(approved))
        if not waiting:
            break
        trust.allow(ctx, map(_subject, waiting))
        approved += waiting
        for path in waiting:
            say(f"shellenv: allowed {paths.tilde(ctx, path)}")
    if not approved:
        say(f"shellenv: nothing to do: all of {paths.tilde(ctx, there.cwd)} is allowed already")
    for error in found.errors:
        raise error
    return 0


def deny(ctx: Context, args: Sequence[str]) -> int:
    """`shellenv deny [DIR]`: refuse the project's files in DIR, whatever they say later.

    Raises ShellenvError if a project there has no files of its own.
    """
    there = _there(ctx, "deny", args)
    files = governed(there)
    if not files:
        raise _nothing(there)
    trust.deny(ctx, files)
    for path in files:
        say(f"shellenv: denied {paths.tilde(ctx, path)}")
    return 0


def governed(ctx: Context) -> tuple[str, ...]:
    """The files that need approval in the current directory and above it, outermost first.

    Those that settings name (`[shellenv.dotenv]`) are not among them.
    """
    found: list[str] = []
    for directory in project.ancestors(ctx):
        candidates = [f"{directory}/{name}" for name in paths.PROJECT_FILES]
        present = [path for path in candidates if os.path.exists(path)]
        found = [*present, *trust.venv_scripts(f"{directory}/.venv"), *found]
    return tuple(found)


def _there(ctx: Context, verb: str, args: Sequence[str]) -> Context:
    """The context with the directory that the arguments name, by name (`..` undoes a `cd`)."""
    arguments = parser(verb)
    arguments.add_argument("directory", metavar="DIR", nargs="?", default=ctx.cwd)
    given: str = arguments.parse_args(args).directory
    directory = os.path.normpath(os.path.join(ctx.cwd, given))
    if not os.path.isdir(directory):
        raise ShellenvError(f"{given} is not a directory", f"shellenv {verb} --help shows how")
    return ctx._replace(cwd=directory)


def _subject(path: str) -> trust.Subject:
    subject = trust.read(path)
    if subject is None:
        raise ShellenvError(f"{path} cannot be read", "check its permissions, size and kind")
    return subject


def _nothing(ctx: Context) -> ShellenvError:
    return ShellenvError(
        f"{paths.tilde(ctx, ctx.cwd)} has no project configuration",
        "write a dockerutils.cfg there, or name the project's directory",
    )
