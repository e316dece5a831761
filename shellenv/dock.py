"""`dock`: this shell's docker on another machine.

The shell's half is shell/dock.*; `castoff` is there alone, and needs nothing from here.
"""

from __future__ import annotations

from collections.abc import Sequence

from shellenv import connect, detached, ssh, state
from shellenv.cli import needs_hook, say, write
from shellenv.connection import Facts, Place
from shellenv.context import Context
from shellenv.errors import ShellenvError
from shellenv.shells import shell_named


def main(ctx: Context, args: Sequence[str]) -> int:
    """`shellenv dock HOST`, as the shell function calls it: `--for SHELL PID HOST`; as a docked
    shell calls it whose connection nobody keeps: `--for SHELL PID --again DIRECTORY MONIKER`.

    Prints the code for that shell. Raises ShellenvError for every way in which a machine cannot be
    used; then the shell, and the connection that others use, are as before.
    """
    if args[:1] != ["--for"] or len(args) < 4 or not args[2].isdecimal() or not args[3]:
        if len(args) == 1 and args[0] and not args[0].startswith("-"):
            raise needs_hook("dock")
        raise ShellenvError("dock takes one host", "shellenv dock --help shows how", 2)
    shell, pid, host = shell_named(args[1]), int(args[2]), args[3]
    if host == "--again" and len(args) == 6:
        connect.keep(ctx, args[4], args[5], pid)
        return 0
    place, facts = connect.join(ctx, connect.resolve(ctx, host), host, pid)
    if facts.docker_host.startswith("ssh:") and ssh.transport(ctx) == "socket":
        say(
            f"shellenv: {facts.moniker} does not let its docker socket be forwarded; docker uses "
            "ssh:// there, which is slow"
        )
    write(shell.call("__shellenv_dock", *words(place, facts)))
    detached.tell(ctx, place, facts)
    return 0


def words(place: Place, facts: Facts) -> list[str]:
    """What a shell needs to be docked there: the moniker, the directory of the connection, the
    prompt's marker, then NAME=VALUE to set and NAME to clear. Pure."""
    values = {
        "DOCKER_HOST": facts.docker_host,
        "DOCKER_IP": facts.ip,
        "SHELLENV_DOCK": facts.moniker,
    }
    changes = [f"{name}={values[name]}" if name in values else name for name in state.DOCKED]
    return [facts.moniker, place.directory, f"[dock:{facts.moniker}] ", *changes]
