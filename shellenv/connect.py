"""Being connected to a dock: which one is meant, and joining its connection or opening it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from shellenv import connection, docks, ssh
from shellenv.cli import at_terminal
from shellenv.connection import Facts, Place
from shellenv.context import Context
from shellenv.docks import Dock
from shellenv.errors import ShellenvError

if TYPE_CHECKING:
    from shellenv.link import Link, Opener
    from shellenv.problems import Problem


@contextmanager
def connected(ctx: Context, name: str | None) -> Iterator[tuple[Place, Facts]]:
    """The connection to the dock called `name`, by default the one that this shell is docked to,
    while the `with` statement lasts. Raises ShellenvError if there is none, or no way to it."""
    typed = named(ctx, name)
    place, facts = join(ctx, resolve(ctx, typed), typed, os.getpid())
    try:
        yield place, facts
    finally:
        connection.dismiss(place, os.getpid())


def named(ctx: Context, name: str | None) -> str:
    """What to call a dock: `name`, or the connection of this shell. Raises ShellenvError without
    either."""
    docked = connection.docked(ctx)
    found = name or (docked.directory if docked else ctx.shell_env.get("SHELLENV_DOCK", ""))
    if not found:
        raise undocked(ctx, ", or name one here")
    return found


def undocked(ctx: Context, other: str = "") -> ShellenvError:
    """The error of what needs a dock in a shell that is not docked: it says how to get there.
    `other` is another way, as the end of a sentence."""
    known = docks.known(ctx).docks
    if not known:
        hint = "no dock is known: shellenv register-dock HOST makes one known"
    elif len(known) == 1:
        hint = f"dock {known[0].moniker} first{other}"
    else:
        hint = f"dock HOST first{other} (shellenv ls-dock lists those that are known)"
    return ShellenvError("this shell is not docked", hint)


def resolve(ctx: Context, text: str) -> Dock:
    """The dock that a person means by a moniker, an address, or `[user@]HOST[:port]`.

    What is not known is a host as ssh would take it; the directory of a connection is the dock that
    it was to. Raises ShellenvError for what cannot be one.
    """
    if text.startswith("/"):
        away = connection.dock_at(Place(text))
        if away is None:
            raise ShellenvError("the connection of this shell is gone", "castoff, then dock again")
        return away
    known = docks.known(ctx)
    for dock in known.docks:
        if dock.moniker == text:
            return dock
    docked = connection.docked(ctx)
    if docked and text == ctx.shell_env.get("SHELLENV_DOCK"):  # one that was never registered
        away = connection.dock_at(docked)
        if away is not None:
            return away
    user, host, port = docks.target(text)
    for dock in known.docks:
        same = host in (dock.moniker, dock.host)
        if same and user in ("", dock.user) and port in (0, dock.port):
            return dock
    for dock in known.docks:
        if host == dock.moniker:  # but as somebody else, or at another port
            return docks.checked(dock._replace(user=user, port=port or dock.port, source=""))
    user = user or ctx.env.get("DOCK_USER", "")
    return docks.checked(Dock(host, host, user, port))


def join(ctx: Context, dock: Dock, typed: str, pid: int) -> tuple[Place, Facts]:
    """Have the process `pid`, a shell as a rule, use the connection to a dock: the one that is
    there, or a new one, for which a keeper stays behind.

    `typed` is what the person called the dock. Raises ShellenvError for every way in which the
    machine cannot be used; then the connection, should others wait for it, is theirs as before.
    """
    place = connection.place(ctx, dock)
    limit = ssh.connect_timeout(ctx)
    if connection.read(place) is None and os.path.exists(place.alive):
        from shellenv import keeper

        keeper.hurry(place)
    with connection.turn(place, limit + 5):
        connection.enlist(place, dock, pid)
        try:
            facts = _joined(place) or _open(ctx, _opener(ctx, dock, place, limit), typed)
        except BaseException:
            connection.dismiss(place, pid)
            raise
    return place, facts


def keep(ctx: Context, directory: str, moniker: str, pid: int) -> None:
    """Have somebody keep a connection that nobody keeps any more: the shell `pid` is docked there.

    Whether it can be opened now does not matter. Raises ShellenvError if nobody knows to which dock
    it was.
    """
    from shellenv import keeper

    dock = connection.dock_at(Place(directory)) or resolve(ctx, moniker)
    place = connection.place(ctx, dock)
    if place.directory != directory:
        raise ShellenvError(f"{moniker} is another machine now", "castoff, then dock again")
    with connection.turn(place, 1):
        connection.enlist(place, dock, pid)
        if not connection.is_kept(place):
            opener = _opener(ctx, dock, place, ssh.connect_timeout(ctx))
            opener.settings()  # in this process, which has asked
            keeper.leave_behind(opener, None)


def _joined(place: Place) -> Facts | None:
    """The facts of a connection that is up and kept; None if there is none."""
    import time

    for _ in range(30):  # the keeper brings back a socket that was taken away
        facts = connection.read(place)
        if facts is None or not connection.is_kept(place):
            return None
        if not facts.socket or os.path.exists(place.socket):
            return facts
        time.sleep(0.1)
    return None


def _opener(ctx: Context, dock: Dock, place: Place, limit: int) -> Opener:
    from shellenv.link import Opener

    client = ssh.Client.create(ctx, limit)
    words = ssh.words(ctx, dock)
    return Opener(client, dock, words, place, client.settings_soon(words), ssh.transport(ctx))


def _open(ctx: Context, opener: Opener, typed: str) -> Facts:
    from shellenv import keeper
    from shellenv.problems import LinkError

    place = opener.place
    try:
        link = opener.open()
    except LinkError as error:
        if error.problem.kind == "name":
            docks.refuse_misspelt(docks.known(ctx).docks, typed)
        link = _with_help(opener, typed, error.problem)
    try:
        keeper.stop(place, opener.client.limit)  # one that had not got there yet
        keeper.leave_behind(opener, link)
    except BaseException as error:
        link.close()
        if isinstance(error, OSError):
            raise ShellenvError(
                f"cannot keep the connection to {opener.dock.moniker}: {error.strerror}",
                f"is there space in {place.directory}?",
            ) from error
        raise
    return link.facts


def _with_help(opener: Opener, typed: str, problem: Problem) -> Link:
    """Try again where a person can help: with a host's key that is not known, with a passphrase or
    a password. Raises ShellenvError."""
    from shellenv import hostkeys
    from shellenv.problems import LinkError

    asked = False
    while True:
        if problem.kind == "unknown key":
            command = ["register-dock", typed]
            hostkeys.settle(opener.client, opener.words, opener.dock, opener.settings(), command)
        elif problem.kind == "authentication" and not asked and at_terminal():
            asked = True
        else:
            raise problem.error()
        try:
            return opener.open(asked)
        except LinkError as error:
            if error.problem == problem and not asked:
                raise problem.error() from None
            problem = error.problem
