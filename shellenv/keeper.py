"""The keeper: the process that keeps the connection to one dock while shells are docked there.

`dock` leaves it behind. It notices when the connection ends (its session does), opens it again,
and closes it when the last docked shell is gone, however that has ended. While the connection is
away it answers on the docker socket, so that docker's clients say what is the matter.
"""

from __future__ import annotations

import os
import select
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from itertools import chain, repeat
from time import monotonic

from shellenv import connection, files
from shellenv.connection import Place
from shellenv.link import Link, LinkError, close

PERIOD = 2.0
"""How often (s) to look whether the docked shells are still there."""

PAUSES = (0.2, 0.5, 1.0, 2.0, 5.0)
"""How long (s) to wait before an attempt to connect again; the last one for all further ones."""


def stop(place: Place, seconds: float) -> None:
    """End the keeper of this connection if there is one; at most `seconds` until it has ended."""
    with suppress(OSError, ValueError), open(place.keeper, encoding="ascii") as stream:
        if connection.is_kept(place):
            os.kill(int(stream.read()), signal.SIGTERM)
    lock = files.lock(place.keeper, seconds)
    if lock is not None:
        os.close(lock)


def leave_behind(link: Link, reopen: Callable[[], Link]) -> None:
    """Fork a keeper of `link`, which calls `reopen` when the connection is gone, and return.

    What prompts and other shells look at is there before this returns. Raises OSError.
    """
    place = link.place
    lock = files.lock(place.keeper, 0)
    if lock is None:
        raise BlockingIOError("there is a keeper already")
    _say_up(link)
    if os.fork():
        os.close(lock)  # the keeper has it, too
        return
    try:
        _detach(link, lock)
        os.ftruncate(lock, 0)
        os.write(lock, b"%d" % os.getpid())
        _Keeper(link, reopen).keep()
    except BaseException:
        import traceback

        with suppress(OSError), open(place.log, "a", encoding="utf-8") as stream:
            traceback.print_exc(file=stream)
    finally:
        os._exit(0)


def _say_up(link: Link) -> None:
    files.write_private(link.place.alive, b"")
    connection.write(link.place, link.facts)


def _detach(link: Link, lock: int) -> None:
    """Let go of all that the starting process has: terminal, directory, pipes, locks."""
    os.setsid()
    os.chdir("/")
    os.umask(0o077)
    for ignored in (signal.SIGHUP, signal.SIGINT):
        signal.signal(ignored, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end)
    null = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):
        os.dup2(null, standard)
    assert link.session.stdin is not None
    kept = {0, 1, 2, lock, link.descriptor, link.session.stdin.fileno()}
    for name in os.listdir("/dev/fd"):
        if int(name) not in kept:
            with suppress(OSError):  # the listing's own
                os.close(int(name))


def _end(*_: object) -> None:
    raise SystemExit


class _Keeper:
    """Its state: the connection while there is one."""

    def __init__(self, link: Link, reopen: Callable[[], Link]) -> None:
        self.place, self.dock, self.reopen = link.place, link.dock, reopen
        self.link: Link | None = link

    def keep(self) -> None:
        with suppress(SystemExit):
            while not self.is_over():
                if self.link is not None:
                    self.watch(self.link)
                else:
                    self.come_back()
        connection.write(self.place, None)
        close(self.place, self.dock, gently=True)
        files.forget(self.place.alive)

    def is_over(self) -> bool:
        """Is nobody docked any more? Then the turn is ours until the end, and nobody can join."""
        if connection.shells(self.place):
            return False
        turn = files.lock(f"{self.place.directory}/turn", 0)
        if turn is None:
            return False  # somebody is about to join
        if connection.shells(self.place):
            os.close(turn)
            return False
        return True

    def watch(self, link: Link) -> None:
        """Wait a little; notice if the connection ends."""
        ready, _, _ = select.select([link.descriptor], [], [], PERIOD)
        if ready and not os.read(link.descriptor, 65536):
            self.link = None
            connection.write(self.place, None)
            link.close()
            files.write_private(self.place.alive, b"")  # it went with the session

    def come_back(self) -> None:
        """Connect again, once that works; give up if nobody is docked any more."""
        from threading import Thread

        with _Answering(self.place.socket, self.dock.moniker) as answering:
            for pause in chain(PAUSES, repeat(PAUSES[-1])):
                answering.answer(pause)
                if not connection.shells(self.place):
                    return
                attempt = Thread(target=self.attempt, daemon=True)
                attempt.start()
                while attempt.is_alive():
                    answering.answer(0.1)
                if self.link is not None:
                    return

    def attempt(self) -> None:
        with suppress(LinkError, OSError):
            link = self.reopen()
            _say_up(link)
            self.link = link


class _Answering:
    """Answers docker's clients while the connection is away."""

    def __init__(self, path: str, moniker: str) -> None:
        self.moniker, self.since = moniker, monotonic()
        with suppress(OSError):
            os.unlink(path)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)  # umask 077: for this user alone
        self.listener.listen(64)

    def __enter__(self) -> _Answering:
        return self

    def __exit__(self, *_: object) -> None:
        self.answer(0)  # who is still waiting
        self.listener.close()

    def answer(self, seconds: float) -> None:
        """Answer all who come within that time."""
        end = monotonic() + seconds
        while select.select([self.listener], [], [], max(end - monotonic(), 0))[0]:
            with suppress(OSError):
                caller, _ = self.listener.accept()
                with caller:
                    caller.settimeout(0.5)
                    caller.recv(65536)
                    caller.sendall(self.text())

    def text(self) -> bytes:
        import json

        seconds = f"{monotonic() - self.since:.0f} s"
        message = f"shellenv: the connection to {self.moniker} is lost since {seconds}, and comes "
        body = json.dumps({"message": f"{message}back as soon as it can"}).encode()
        return (
            b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"
            b"Connection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        )
