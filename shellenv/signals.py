"""Signals as something to poll for.

A Ctrl-Z after which an `fg` came at once must not stop us: the shell believes that we go on. The
kernel knows which of the two was last: a SIGCONT takes back a stop that is pending (POSIX.1-2017,
XSH 2.4.1). So a stop is left pending until the thread takes it that would stop. What another thread
has waited for is heard of later, and handlers may run in the opposite order, one inside of the
other.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from typing import Any

from shellenv.supervisor import SI_USER, in_thread, next_signal, was_continued


class Signals:
    """The `watched` signals, which all threads block. `fd` is to be polled: can one be taken?"""

    def __init__(self, watched: set[Any]) -> None:
        self.watched = watched
        self.done = False
        self.fd = _signalfd(watched)
        self.is_direct = self.fd >= 0
        if not self.is_direct:
            self.fd, self.writer = os.pipe()
            self.listener = in_thread(self._listen)

    def take(self) -> Iterator[tuple[int, bool]]:
        """Those that have come: the number, and whether it was sent to us alone (`next_signal`).
        After a SIGTSTP, `was_continued` says whether a SIGCONT has come later."""
        if not self.is_direct:
            number, sent = os.read(self.fd, 2)
            yield number, bool(sent)
            return
        for number in sorted(self.watched & signal.sigpending()):
            if number == signal.SIGTSTP:
                was_continued()
            if (found := signal.sigtimedwait({number}, 0)) is not None:
                yield number, found.si_code <= SI_USER

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
            number, sent = next_signal({*self.watched, signal.SIGUSR1})
            if number == signal.SIGTSTP:
                was_continued()
            os.write(self.writer, bytes((number, sent)))


def _signalfd(watched: set[Any]) -> int:
    """signalfd(2), which Python has not; -1 where there is none."""
    if not sys.platform.startswith("linux"):
        return -1
    import ctypes

    bits = sum(1 << (number - 1) for number in watched)
    flags = os.O_CLOEXEC | os.O_NONBLOCK
    return int(ctypes.CDLL(None).signalfd(-1, bits.to_bytes(128, sys.byteorder), flags))
