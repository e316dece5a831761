"""Signals as something to poll for.

A Ctrl-Z after which an `fg` came at once must not stop us: the shell believes that we go on. The
kernel knows which of the two was last: a SIGCONT takes back a stop that is pending (POSIX.1-2017,
XSH 2.4.1). So a stop is left pending until the thread takes it that would stop. What another thread
has waited for is heard of later, and handlers may run in the opposite order, one inside of the
other.
"""

from __future__ import annotations

import _thread
import os
import select
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any

PASSED_ON = ("SIGINT", "SIGQUIT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2")
SI_USER = 0  # sigaction(2): codes of signals that a process sent are not above it


class Signals:
    """The `watched` signals, which all threads block. `fd` is to be polled: can one be taken?

    Each is a pair: its number, and whether it was sent to us alone, as far as one can see: a
    terminal's goes to the whole group.
    """

    def __init__(self, watched: set[Any]) -> None:
        self.watched = watched
        self.done = False
        self.fd = _signalfd(watched)
        self.is_direct = self.fd >= 0
        if not self.is_direct:
            self.fd, self.writer = os.pipe()
            self.listener = in_thread(self._listen)

    def take(self) -> Iterator[tuple[int, bool]]:
        """Those that have come. After a SIGTSTP, `was_continued` says whether a SIGCONT has come
        later."""
        if not self.is_direct:
            number, sent = os.read(self.fd, 2)
            yield number, bool(sent)
            return
        for number in sorted(self.watched & signal.sigpending()):
            if number == signal.SIGTSTP:
                was_continued()
            if (found := signal.sigtimedwait({number}, 0)) is not None:
                yield number, found.si_code <= SI_USER

    def wait(self) -> tuple[int, bool]:
        """The next that comes."""
        there = select.poll()
        there.register(self.fd, select.POLLIN)
        found = None
        while found is None:
            there.poll()
            found = next(self.take(), None)
        return found

    def close(self) -> None:
        """Take no more."""
        self.done = True
        if self.is_direct:
            os.close(self.fd)
        else:
            signal.pthread_kill(self.listener, signal.SIGUSR1)

    def _listen(self) -> None:
        """Where there is no signalfd, a thread waits: no call waits for a signal and for data."""
        while not self.done:
            number, sent = _next({*self.watched, signal.SIGUSR1})
            if number == signal.SIGTSTP:
                was_continued()
            os.write(self.writer, bytes((number, sent)))


def _next(watched: set[Any]) -> tuple[int, bool]:
    """See `Signals`."""
    wait: Any = getattr(signal, "sigwaitinfo", None)
    if wait is None:  # macOS
        number = signal.sigwait(watched)
        return number, number not in (signal.SIGINT, signal.SIGQUIT)
    found = wait(watched)
    return found.si_signo, found.si_code <= SI_USER


def _signalfd(watched: set[Any]) -> int:
    """signalfd(2), which Python has not; -1 where there is none."""
    if not sys.platform.startswith("linux"):
        return -1
    import ctypes

    bits = sum(1 << (number - 1) for number in watched)
    flags = os.O_CLOEXEC | os.O_NONBLOCK
    return int(ctypes.CDLL(None).signalfd(-1, bits.to_bytes(128, sys.byteorder), flags))


def stop(group: bool = False) -> bool:
    """Stop this process as Ctrl-Z would, until it is continued, and with `group` all others of its
    process group. False if the kernel does not do it because nobody would continue us (an orphaned
    process group: POSIX.1-2017, XBD 11.1.4). Other threads must block SIGCONT (`in_thread`).

    A shell that sees the others stop may continue all of us before we have stopped. So ours is
    pending first, where SIGCONT takes it back; whether that had come before, its handler knows."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTSTP})
    handler = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
    noting = signal.signal(signal.SIGCONT, note_continued)
    try:
        # While it is blocked, so that it and one that is there already stop us once
        signal.raise_signal(signal.SIGTSTP)
        if _continued:
            signal.signal(signal.SIGTSTP, signal.SIG_IGN)  # nor does what is pending count any more
        elif group:
            os.killpg(0, signal.SIGTSTP)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTSTP})
        return was_continued()
    finally:
        signal.signal(signal.SIGCONT, noting)
        signal.signal(signal.SIGTSTP, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_continued = False


def note_continued(*_: object) -> None:
    """A handler of SIGCONT. (Pending, it would be lost when the next stop comes.)"""
    global _continued
    _continued = True


def was_continued() -> bool:
    """Has this process been continued since it was last asked?"""
    global _continued
    found, _continued = _continued, False
    return found


def in_thread(function: Callable[..., None], *args: Any) -> int:
    """Run a function in a thread, and leave all signals to this one; the thread's number."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        return _thread.start_new_thread(function, args)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
