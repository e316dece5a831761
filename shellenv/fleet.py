"""`ls-dock` and `ssh-dock`: the known docks at work."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from shellenv import connect, connection, docks, ssh
from shellenv.cli import parser, printable, say, write
from shellenv.context import Context
from shellenv.docks import Dock
from shellenv.errors import ShellenvError
from shellenv.schema import nearest

AT_ONCE = 32
"""How many docks are asked at the same time."""


def ls(ctx: Context, args: Sequence[str]) -> int:
    """`shellenv ls-dock [--json] [--offline]`: the known docks, and what docker each has.

    Each is asked for at most connect_timeout, `AT_ONCE` of them at a time; that one does not
    answer is no failure. Raises ShellenvError if there is no ssh to ask with.
    """
    options = parser("ls-dock")
    options.add_argument("--json", action="store_true", help="print JSON")
    options.add_argument("--offline", action="store_true", help="do not ask the docks anything")
    chosen = options.parse_args(args)
    known = docks.known(ctx)
    for warning in known.warnings:
        say(f"shellenv: {warning}")
    answers: Sequence[ssh.Answer | None] = [None] * len(known.docks)
    if not chosen.offline and known.docks:
        answers = ask_all(ctx, known.docks)
    docked = connection.counts(ctx, known.docks)
    if chosen.json:
        write(_json(known.docks, answers, docked))
        return 0
    if not known.docks:
        say("shellenv: no docks are known", "shellenv register-dock HOST makes one known")
        return 0
    write(_table(known.docks, answers, docked, asked=not chosen.offline))
    for dock, answer in zip(known.docks, answers, strict=True):
        if answer and answer.problem:
            say(f"shellenv: {dock.moniker}: {answer.problem.message}")
    return 0


def ask_all(ctx: Context, known: Sequence[Dock]) -> list[ssh.Answer]:
    """Ask the docks at the same time; an answer for each, in their order."""
    from concurrent.futures import ThreadPoolExecutor

    client = ssh.Client.create(ctx, ssh.connect_timeout(ctx))
    included = ssh.includes(ctx)

    def ask(dock: Dock) -> ssh.Answer:
        settings = {"user": dock.user} if dock.user else {}
        return client.ask(ssh.words(ctx, dock, included), dock.moniker, settings)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            return list(pool.map(ask, known))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            client.running.end()
            raise


def _table(
    known: Sequence[Dock], answers: Iterable[ssh.Answer | None], docked: Iterable[int], asked: bool
) -> str:
    rows = [("moniker", "address", "user", "docked", "reachable", "docker")]
    for dock, answer, shells in zip(known, answers, docked, strict=True):
        reachable = docker = "-"
        if answer:
            why = answer.problem.kind if answer.problem else ""
            reachable = "yes" if answer.reachable else f"no ({why})"
            docker = answer.docker or (why if answer.reachable else "-")
        who = f"{shells} shell{'s' if shells > 1 else ''}" if shells else "-"
        rows.append((dock.moniker, dock.address, dock.user or "-", who, reachable, docker))
    columns = 6 if asked else 4
    shown = [[printable(cell) for cell in row[:columns]] for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    lines = (
        "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in shown
    )
    return "".join(f"{line}\n" for line in lines)


def _json(
    known: Sequence[Dock], answers: Iterable[ssh.Answer | None], docked: Iterable[int]
) -> str:
    import json

    rows = []
    for dock, answer, shells in zip(known, answers, docked, strict=True):
        problem = answer.problem if answer else None
        rows.append(
            {
                "moniker": dock.moniker,
                "host": dock.host,
                "user": dock.user or None,
                "port": dock.port or None,
                "identity": dock.identity or None,
                "source": dock.source,
                "docked_shells": shells,
                "reachable": answer.reachable if answer else None,
                "docker": (answer.docker or None) if answer else None,
                "problem": {"kind": problem.kind, "message": problem.message} if problem else None,
            }
        )
    # A dock a line: readable, and without `indent` json's fast encoder does it
    lines = ",\n".join(f"  {json.dumps(row)}" for row in rows)
    return f"[\n{lines}\n]\n" if rows else "[]\n"


def ssh_dock(ctx: Context, args: Sequence[str]) -> int:
    """`shellenv ssh-dock MONIKER [-- CMD…]`: say the ssh command, then become it.

    ssh joins the words of CMD with spaces, and the dock's shell reads the line, as always with
    ssh. Does not return. Raises ShellenvError for a misspelt dock and if there is no ssh.
    """
    import shlex
    import signal

    own, command = list(args[:1]), list(args[1:])
    if command[:1] == ["--"]:
        command = command[1:]
        if not command:
            parser("ssh-dock").error("there is no command behind --")
    elif command:
        parser("ssh-dock").error("put -- before the command")
    options = parser("ssh-dock")
    options.add_argument(
        "moniker",
        metavar="MONIKER",
        help="a known dock (ls-dock lists them), or a host as ssh takes it",
    )
    name: str = options.parse_args(own).moniker
    dock = _meant(ctx, name)
    program = ssh.program(ctx)
    words = ["ssh", *ssh.words(ctx, dock), *command]
    say(shlex.join(words))
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and a program inherits that
    try:
        os.execve(program, words, ctx.surroundings)
    except OSError as error:
        raise ShellenvError(f"cannot run {program}: {error.strerror}", "is it executable?") from (
            error
        )


def _meant(ctx: Context, name: str) -> Dock:
    """A known dock or, as `dock` takes it, a host. Raises ShellenvError for what looks like a dock
    misspelt and is no name of a host's in ssh's configuration."""
    known = docks.known(ctx).docks
    monikers = [dock.moniker for dock in known]
    found = connect.resolve(ctx, name)
    if found.moniker in monikers or not nearest(found.moniker, monikers):
        return found
    client = ssh.Client.create(ctx, ssh.connect_timeout(ctx))
    if client.settings(ssh.words(ctx, found)).get("hostname") != found.host:
        return found
    return docks.find(known, name)
