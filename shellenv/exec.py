"""`exec`: run a command in a directory's environment, with no hook."""

from __future__ import annotations

import os
from collections.abc import Sequence

from shellenv import trust
from shellenv.cli import parser, say
from shellenv.context import Context
from shellenv.environment import environment
from shellenv.errors import ShellenvError
from shellenv.program import become
from shellenv.secrets import fetch
from shellenv.survey import Survey, survey


def main(ctx: Context, args: Sequence[str]) -> int:
    """`shellenv exec [DIR] -- CMD…`: become CMD, in DIR's environment and directory.

    Without DIR, the directory stays the current one. Does not return unless CMD cannot be run:
    126 if it cannot be executed and 127 if it is not found (POSIX.1-2017, XCU 2.8.2). Raises
    ShellenvError for a project whose settings do not parse and for a secret that cannot be had.
    """
    directory, command = _split(args)
    there = ctx
    if directory is not None:
        path = os.path.normpath(os.path.join(ctx.cwd, directory))
        if not os.path.isdir(path):
            raise ShellenvError(f"{directory} is not a directory", "shellenv exec --help shows how")
        os.chdir(path)
        there = ctx._replace(cwd=path)
    found = survey(there)
    for error in found.errors:
        raise error
    tell(found)
    env = environment(there, found)
    if found.plan:
        env.update(fetch(there, found, found.plan.secrets).values(env))
    if directory is not None:
        env["PWD"] = there.cwd
    return become(command, env)


def _split(args: Sequence[str]) -> tuple[str | None, list[str]]:
    """DIR and CMD. What stands before `--` is ours, what stands behind it is the command's."""
    options = parser("exec")
    options.add_argument("directory", metavar="DIR", nargs="?",
                         help="where to run it (default: here)")  # fmt: skip
    if "--" not in args:
        options.parse_args([arg for arg in args if arg in ("-h", "--help")])
        options.error("put -- before the command")
    position = list(args).index("--")
    before, command = list(args[:position]), list(args[position + 1 :])
    directory: str | None = options.parse_args(before).directory
    if not command:
        options.error("there is no command behind --")
    return directory, command


def tell(found: Survey) -> None:
    """Say what a command will not have, or go by: a program cannot ask."""
    for blocked in found.blocked:
        if blocked.verdict != trust.DENIED and not blocked.path.endswith(".fish"):
            say(f"shellenv: {blocked.path} is not allowed and not used")
