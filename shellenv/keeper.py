"""The keeper: the process that keeps the connection to one dock while shells are docked there.

`dock` leaves it behind. It notices when the connection ends (its session does), opens it again,
and closes it when the last docked shell is gone, however that has ended. While the connection is
away it answers on the docker socket, so that docker's clients say what is the matter.

A small watchman goes with it: a shell that waits for the keeper's end, whatever that is, and takes
`alive` away then. It has the keeper's lock, too, so that no other keeper begins before that.
"""

from __future__ import annotations

import os
import select
import signal
import socket
from contextlib import suppress
from itertools import chain, repeat
from time import monotonic
from typing import TYPE_CHECKING

from shellenv import connection, files
from shellenv.connection import Place
from shellenv.errors import ShellenvError
from shellenv.link import Link, Opener
from shellenv.problems import LinkError

if TYPE_CHECKING:
    import subprocess

PERIOD = 2.0
"""How often (s) to look whether the docked shells are still there."""

PAUSES = (0.2, 0.5, 1.0, 2.0, 5.0)
"""How long (s) to wait before an attempt to connect again; the last one for all further ones."""


def hurry(place: Place) -> None:
    """Have the keeper give up its attempt to connect, if it is at one: somebody else will try."""
    _send(place, signal.SIGUSR1)


def stop(place: Place, seconds: float) -> None:
    """End the keeper of this connection if there is one; at most `seconds` until it has ended.

    What it keeps is closed. What somebody else has opened, while it had nothing, is not.
    """
    _send(place, signal.SIGTERM)
    lock = files.lock(place.keeper, seconds)
    if lock is not None:
        os.close(lock)


def _send(place: Place, number: int) -> None:
    with suppress(OSError, ValueError), open(place.keeper, encoding="ascii") as stream:
        if connection.is_kept(place):
            os.kill(int(stream.read()), number)


def leave_behind(opener: Opener, link: Link | None) -> None:
    """Fork a keeper of `link`, or of a connection that it has to open first, and return.

    What prompts and other shells look at is there before this returns. Whoever calls this has the
    turn. Raises OSError.
    """
    place = opener.place
    lock = files.lock(place.keeper, 0)
    if lock is None:
        raise BlockingIOError("there is a keeper already")
    files.write_private(place.alive, b"")
    connection.write(place, link.facts if link is not None else None)
    if os.fork():
        os.close(lock)  # the keeper has it, too
        return
    try:
        _detach(link, lock)
        keeper = _Keeper(opener, link, lock)
        os.ftruncate(lock, 0)
        os.write(lock, b"%d" % os.getpid())  # now it may be sent signals
        keeper.keep()
    except BaseException:
        import traceback

        with suppress(OSError), open(place.log, "a", encoding="utf-8") as stream:
            traceback.print_exc(file=stream)
    finally:
        os._exit(0)


def _detach(link: Link | None, lock: int) -> None:
    """Let go of all that the starting process has: terminal, directory, pipes, locks."""
    os.setsid()
    os.chdir("/")
    os.umask(0o077)
    for ignored in (signal.SIGHUP, signal.SIGINT):
        signal.signal(ignored, signal.SIG_IGN)
    null = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):
        os.dup2(null, standard)
    kept = {0, 1, 2, lock}
    if link is not None:
        assert link.session.stdin is not None
        kept |= {link.descriptor, link.session.stdin.fileno()}
    for name in os.listdir("/dev/fd"):
        if int(name) not in kept:
            with suppress(OSError):  # the listing's own
                os.close(int(name))


class _Keeper:
    """Its state: the connection while there is one, and the shells that were seen."""

    def __init__(self, opener: Opener, link: Link | None, lock: int) -> None:
        self.opener, self.link, self.lock = opener, link, lock
        self.place = opener.place
        self.starts: dict[int, bytes] = {}
        self.watchman: subprocess.Popen[bytes] | None = None
        signal.signal(signal.SIGTERM, _end)
        signal.signal(signal.SIGUSR1, lambda *_: opener.abort())

    def keep(self) -> None:
        try:
            while not self.is_over():
                self.have_watched()
                if self.link is not None:
                    self.watch(self.link)
                else:
                    self.come_back()
        except SystemExit:
            self.opener.abort()
        with suppress(OSError):
            if self.link is not None:
                connection.write(self.place, None)
                self.link.close(gently=True)

    def have_watched(self) -> None:
        """See to it that there is a watchman."""
        from shellenv.processes import subprocess

        if self.watchman is not None and self.watchman.poll() is None:
            return
        self.watchman = subprocess.Popen(
            ["sh", "-c", 'read -r _; rm -f "$0"', self.place.alive],
            stdin=subprocess.PIPE,
            start_new_session=True,
            pass_fds=[self.lock],
        )

    def is_over(self) -> bool:
        """Is nobody docked any more? Then the turn is ours until the end, and nobody can join."""
        if self.shells():
            return False
        try:
            turn = files.lock(f"{self.place.directory}/turn", 0)
        except OSError:
            return True  # the directory is gone
        if turn is None:
            return False  # somebody is about to join
        if self.shells():
            os.close(turn)
            return False
        return True

    def shells(self) -> list[int]:
        """The docked shells, but for other processes that have got the number of one by now."""
        found = connection.shells(self.place)
        for pid in found:
            start = connection.started(pid)
            if self.starts.setdefault(pid, start) != start:
                connection.dismiss(self.place, pid)
        self.starts = {pid: self.starts[pid] for pid in found}
        return found

    def watch(self, link: Link) -> None:
        """Wait a little; notice if the connection ends, and if our socket was taken away."""
        ready, _, _ = select.select([link.descriptor], [], [], PERIOD)
        if ready and not os.read(link.descriptor, 65536):
            self.link = None
            connection.write(self.place, None)
            link.close()
        elif link.facts.socket and not os.path.exists(self.place.socket):
            link.forward(link.facts.socket, again=True)

    def come_back(self) -> None:
        """Connect again, once that works; give up if nobody is docked any more."""
        from threading import Thread

        with _Answering(self.place, self.opener.dock.moniker) as answering:
            for pause in chain(PAUSES, repeat(PAUSES[-1])):
                answering.answer(pause)
                self.have_watched()
                if not self.shells():
                    with suppress(OSError):
                        os.unlink(self.place.socket)
                    return
                attempt = Thread(target=self.attempt, daemon=True)
                attempt.start()
                try:
                    while attempt.is_alive():
                        answering.answer(0.1)
                except SystemExit:
                    self.opener.abort()
                    attempt.join(PERIOD)
                    raise
                if self.link is not None:
                    return

    def attempt(self) -> None:
        """Open the connection, unless somebody else is at it."""
        try:
            turn = files.lock(f"{self.place.directory}/turn", 0)
        except OSError:
            return
        if turn is None:
            return
        try:
            link = self.opener.open()
            connection.write(self.place, link.facts)
            self.link = link
        except (LinkError, ShellenvError, OSError) as error:
            connection.explain(self.place, str(error))
        finally:
            os.close(turn)


def _end(*_: object) -> None:
    raise SystemExit


class _Answering:
    """Answers docker's clients while the connection is away."""

    def __init__(self, place: Place, moniker: str) -> None:
        self.place, self.moniker, self.since = place, moniker, monotonic()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listening: list[socket.socket] = []
        with suppress(OSError):
            os.unlink(place.socket)
        with suppress(OSError):  # no space, for one; then nobody answers
            self.listener.bind(place.socket)  # umask 077: for this user alone
            self.listener.listen(64)
            self.listening = [self.listener]

    def __enter__(self) -> _Answering:
        return self

    def __exit__(self, *_: object) -> None:
        self.answer(0)  # who is still waiting
        self.listener.close()

    def answer(self, seconds: float) -> None:
        """Answer all who come within that time."""
        end = monotonic() + seconds
        while (left := end - monotonic()) > 0 or seconds == 0:
            ready, _, _ = select.select(self.listening, [], [], max(left, 0))
            if not ready:
                return
            with suppress(OSError):
                caller, _ = self.listener.accept()
                with caller:
                    caller.settimeout(0.5)
                    caller.recv(65536)
                    caller.sendall(self.text())

    def text(self) -> bytes:
        import json

        message = (
            f"shellenv: the connection to {self.moniker} is lost since "
            f"{monotonic() - self.since:.0f} s, and comes back as soon as it can"
        )
        why = connection.problem(self.place)
        body = json.dumps({"message": f"{message}: {why}" if why else message}).encode()
        return (
            b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"
            b"Connection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        )
