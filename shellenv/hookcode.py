"""Is what a hook says code at all? Asked of the shell itself, which reads it and runs nothing."""

from __future__ import annotations

import os
import shutil

from shellenv import paths
from shellenv.cli import printable
from shellenv.config import Origin
from shellenv.context import Context
from shellenv.plan import Plan
from shellenv.processes import subprocess
from shellenv.shells import Shell

READERS = {
    "bash": ("bash", "-O", "extglob", "-n"),  # with whatever the user may have switched on
    "zsh": ("zsh", "-f", "-n"),
    "fish": ("fish", "-n"),
}
"""Commands that read code on stdin; their status says whether it is any."""

SECONDS = 5


def checked(ctx: Context, shell: Shell, plan: Plan) -> Plan:
    """`plan` with a notice for each hook that `shell` cannot read. As it was where there is no such
    shell to ask, or no answer.

    Such a hook stays in the plan, since an alias of the user's may make code of it; but for fish,
    where none can, and which would print a page of its own functions.
    """
    hooks, notices = [], []
    for hook in plan.hooks:
        enter, leave = _is_code(ctx, shell, hook.enter), _is_code(ctx, shell, hook.leave)
        notices += [] if enter else [_notice(ctx, shell, "enter", hook.enter_origin)]
        notices += [] if leave else [_notice(ctx, shell, "leave", hook.leave_origin)]
        if shell.name == "fish":
            hook = hook._replace(
                enter=hook.enter if enter else "", leave=hook.leave if leave else ""
            )
        hooks.append(hook)
    return plan._replace(hooks=tuple(hooks), notices=(*plan.notices, *notices))


def _notice(ctx: Context, shell: Shell, when: str, origin: Origin) -> str:
    where = f"{paths.tilde(ctx, origin.file)}:{origin.line}"
    return printable(f"{where}: {shell.name} cannot read the code of the hook `{when}`: mend it")


def _is_code(ctx: Context, shell: Shell, code: str) -> bool:
    path = ctx.env.get("PATH", os.defpath)
    reader = READERS[shell.name]
    program = shutil.which(reader[0], path=path)
    if not code or program is None:
        return True
    try:
        done = subprocess.run(
            [program, *reader[1:]],
            input=os.fsencode(f"{code}\n"),
            env={"PATH": path, "HOME": os.devnull},  # no file of the user's is read
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return True
    return done.returncode <= 0
