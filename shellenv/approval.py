"""`allow` and `deny`: a person's word on a project's files."""

from __future__ import annotations

import os
from collections.abc import Sequence

from shellenv import paths, project, trust
from shellenv.cli import parser, say
from shellenv.context import Context
from shellenv.errors import ShellenvError
from shellenv.survey import Blocked, Survey, survey


def allow(ctx: Context, args: Sequence[str]) -> int:
    """`shellenv allow [DIR]`: approve what waits for approval in DIR's project, as it is now.

    That is the nearest directory, from DIR up, with files that need approval; those of projects
    around it are only named. Raises ShellenvError if there is none, if one of the files cannot be
    read, does not parse or can be written by others: then all stay as they were. (Only what a
    file names that was denied is not known before that is allowed.)
    """
    there = _there(ctx, "allow", args)
    directory = _nearest(there)
    approved: list[str] = []
    while waiting := _waiting(there, directory, approved):
        trust.allow(ctx, (trust.Subject(blocked.path, blocked.content) for blocked in waiting))
        for blocked in waiting:
            approved.append(blocked.path)
            say(f"shellenv: allowed {paths.tilde(ctx, blocked.path)}")
    found = survey(there)
    if not approved:
        say(f"shellenv: nothing to do: {_nothing_waits(there, directory, found)}")
    for blocked in found.blocked:
        if blocked.verdict == trust.BLOCKED and not blocked.path.endswith(".fish"):
            place = paths.tilde(ctx, blocked.directory)
            say(f"shellenv: {paths.tilde(ctx, blocked.path)} still waits: shellenv allow {place}")
    for error in found.errors:
        raise error
    return 0


def _waiting(there: Context, directory: str, approved: Sequence[str]) -> list[Blocked]:
    """What is to be approved in `directory`, with the files that its settings name. Raises the
    error of a file that could not be used anyway."""
    found = survey(there, trusting=True)
    ours = {b.path: b for b in found.blocked if b.directory == directory}
    for error in found.errors:
        if error.message.startswith((f"{directory}/", *ours)):
            raise error
    settings_first = sorted(ours.values(), key=lambda b: (b.kind == "variables", b.path))
    return [blocked for blocked in settings_first if blocked.path not in approved]


def _nothing_waits(there: Context, directory: str, found: Survey) -> str:
    """Why there is nothing to approve in `directory`: all is, or its `.venv` is not in use."""
    shown = paths.tilde(there, directory)
    own, used = f"{directory}/.venv", found.detection.project
    if used and used.venv and trust.venv_scripts(own) and not trust.venv_allowed(there, own):
        return f"{shown}/.venv is not in use, as {used.venv_rule}"
    return f"all of {shown} is allowed already"


def deny(ctx: Context, args: Sequence[str]) -> int:
    """`shellenv deny [DIR]`: refuse the files of DIR's project, whatever they say later.

    Which project that is: see `allow`. Raises ShellenvError if there is none.
    """
    there = _there(ctx, "deny", args)
    files = governed(_nearest(there))
    trust.deny(ctx, files)
    for path in files:
        say(f"shellenv: denied {paths.tilde(ctx, path)}")
    return 0


def _nearest(ctx: Context) -> str:
    """The nearest directory, from the current one up, that has files which need approval."""
    for directory in project.ancestors(ctx):
        if governed(directory):
            return directory
    raise ShellenvError(
        f"{paths.tilde(ctx, ctx.cwd)} has no project configuration",
        "write a dockerutils.cfg there, or name the project's directory",
    )


def governed(directory: str) -> tuple[str, ...]:
    """The files of `directory` that need approval, without those that its settings name."""
    candidates = [f"{directory}/{name}" for name in paths.PROJECT_FILES]
    present = [path for path in candidates if os.path.exists(path)]
    return (*present, *trust.venv_scripts(f"{directory}/.venv"))


def _there(ctx: Context, verb: str, args: Sequence[str]) -> Context:
    """The context with the directory that the arguments name, by name (`..` undoes a `cd`)."""
    arguments = parser(verb)
    arguments.add_argument("directory", metavar="DIR", nargs="?", default=ctx.cwd,
                           help="the project (default: where you are)")  # fmt: skip
    given: str = arguments.parse_args(args).directory
    directory = os.path.normpath(os.path.join(ctx.cwd, given))
    if os.path.isfile(directory):
        import shlex

        place = shlex.quote(os.path.dirname(given) or ".")
        raise ShellenvError(
            f"{given} is a file, and a project's files are judged together",
            f"name its directory: shellenv {verb} {place}",
        )
    if not os.path.isdir(directory):
        raise ShellenvError(f"{given} is not a directory", f"shellenv {verb} --help shows how")
    return ctx._replace(cwd=directory)
