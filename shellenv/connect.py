"""Being connected to a dock: which one is meant, and joining its connection or opening it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from shellenv import connection, docks, ssh
from shellenv.cli import at_terminal, say
from shellenv.connection import Facts, Place
from shellenv.context import Context
from shellenv.docks import Dock
from shellenv.errors import ShellenvError

if TYPE_CHECKING:
    from shellenv.link import Link
    from shellenv.problems import Problem


@contextmanager
def connected(ctx: Context, name: str | None) -> Iterator[tuple[Place, Facts]]:
    """The connection to the dock called `name`, by default the one that this shell is docked to,
    while the `with` statement lasts. Raises ShellenvError if there is none, or no way to it."""
    docked = connection.docked(ctx)
    typed = name or (docked.directory if docked else "")
    if not typed:
        raise ShellenvError("which dock?", "name one (shellenv ls-dock lists them), or dock first")
    place, facts = join(ctx, resolve(ctx, typed), typed, os.getpid())
    try:
        yield place, facts
    finally:
        connection.dismiss(place, os.getpid())


def resolve(ctx: Context, text: str) -> Dock:
    """The dock that a person means by a moniker, an address, or `[user@]HOST[:port]`.

    What is not known is a host as ssh would take it; the directory of a connection is the dock that
    it was to (a docked shell asks for it that way). Raises ShellenvError for what cannot be one.
    """
    if text.startswith("/") and (away := connection.dock_at(Place(text))):
        return away
    known = docks.known(ctx)
    for dock in known.docks:
        if dock.moniker == text:
            return dock
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
    machine cannot be used.
    """
    place = connection.place(ctx, dock)
    limit, transport = ssh.connect_timeout(ctx), ssh.transport(ctx)
    with connection.turn(place, limit + 5):
        connection.enlist(place, dock, pid)
        try:
            facts = _joined(place, transport)
            if facts is None:
                facts = _open(ctx, dock, typed, place, limit, transport)
        except BaseException:
            connection.dismiss(place, pid)
            raise
    if not facts.docker_host.startswith("unix:") and transport == "socket":
        say(
            f"shellenv: {dock.moniker} does not let its docker socket be forwarded; docker uses "
            "ssh:// there, which is slow"
        )
    return place, facts


def _joined(place: Place, transport: str) -> Facts | None:
    """The facts of a connection that is up and kept; None if there is none of that kind."""
    facts = connection.read(place)
    if facts is None or not connection.is_kept(place):
        return None
    return None if transport == "ssh" and facts.socket else facts


def _open(ctx: Context, dock: Dock, typed: str, place: Place, limit: int, transport: str) -> Facts:
    from shellenv import keeper
    from shellenv.link import LinkError, open_link

    client = ssh.Client.create(ctx, limit)
    reach = ssh.words(ctx, dock)
    settings = client.settings_soon(reach)
    keeper.stop(place, limit)  # one that tries in vain: nobody would see why

    def reopen(ask: bool = False) -> Link:
        return open_link(client, dock, reach, place, settings, transport, ask)

    try:
        link = reopen()
    except LinkError as error:
        link = _with_help(client, reach, dock, typed, settings, error.problem, reopen)
    try:
        keeper.leave_behind(link, reopen)
    except BaseException as error:
        link.close()
        if isinstance(error, OSError):
            raise ShellenvError(
                f"cannot keep the connection to {dock.moniker}: {error.strerror}",
                f"is there space in {place.directory}?",
            ) from error
        raise
    return link.facts


def _with_help(
    client: ssh.Client,
    reach: Sequence[str],
    dock: Dock,
    typed: str,
    settings: Callable[[], Mapping[str, str]],
    problem: Problem,
    reopen: Callable[[bool], Link],
) -> Link:
    """Try again where a person can help: with a host's key that is not known, with a passphrase or
    a password. Raises ShellenvError."""
    from shellenv import hostkeys
    from shellenv.link import LinkError

    asked = False
    while True:
        if problem.kind == "unknown key":
            hostkeys.settle(client, reach, dock, settings(), ["register-dock", typed])
        elif problem.kind == "authentication" and not asked and at_terminal():
            asked = True
        else:
            raise problem.error()
        try:
            return reopen(asked)
        except LinkError as error:
            if error.problem == problem and not asked:
                raise problem.error() from None
            problem = error.problem
