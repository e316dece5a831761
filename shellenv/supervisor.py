"""One program, looked after as a shell looks after its foreground job.

It stays in our process group, so that a terminal's signals (Ctrl-C, Ctrl-Z) reach it as they
reach us, and a pipeline stays one. What was sent to us alone is passed on.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from typing import Any, NamedTuple

from shellenv.cli import say
from shellenv.program import become
from shellenv.signals import PASSED_ON, Signals, note_continued, stop, was_continued

GRACE = 5.0
"""Seconds that a program has to end after its terminal is gone."""

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36  # prctl(2)

CAN_LOOK = hasattr(os, "waitid")
"""Can one see that a child has stopped, and leave its end to others? Not on macOS before 3.13."""


class End(NamedTuple):
    """How a program ended.

    `status` is what a shell would have in `$?`: 0 to 255, 128 + N for signal N, 127 not found, 126
    cannot be executed. `signal` is the signal that ended it, 0 if none did. `interrupted`: Ctrl-C
    was pressed meanwhile, or SIGINT came in another way.
    """

    status: int
    signal: int = 0
    interrupted: bool = False


def supervise(argv: Sequence[str], env: Mapping[str, str]) -> End:
    """Run a program to its end, with our standard streams and all other open descriptors.

    It is killed when the terminal has been gone for `GRACE` seconds, and if this process is. As in
    a container, whatever it started and left behind is killed at its end (Linux). Raises nothing
    for what the program does.
    """
    return _Supervisor(argv, env).run()


def leave(end: End) -> int:
    """The exit status for `end`. After an interrupt this does not return: a shell whose loop or
    script is to end with us must see that SIGINT ended us (POSIX.1-2017, XCU 2.11)."""
    if end.interrupted and end.status == 128 + signal.SIGINT:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        os.kill(os.getpid(), signal.SIGINT)
    return end.status


class _Supervisor:
    def __init__(self, argv: Sequence[str], env: Mapping[str, str]) -> None:
        self.argv = list(argv)
        self.env = dict(env)
        self.pid = 0
        self.interrupted = False
        self.had_terminal = has_terminal()
        self.prctl = _prctl()

    def run(self) -> End:
        watched = {getattr(signal, name) for name in PASSED_ON}
        watched |= {signal.SIGTSTP} if CAN_LOOK else set()
        # What was ignored when we were started stays so (nohup, `&` in a script).
        watched = {number for number in watched if signal.getsignal(number) is not signal.SIG_IGN}
        watched |= {signal.SIGCHLD, signal.SIGALRM}
        before = signal.pthread_sigmask(signal.SIG_BLOCK, watched)
        # On some systems a signal whose default is to be ignored is lost even where it is blocked.
        handlers = {n: signal.signal(n, _nothing) for n in (signal.SIGCHLD, signal.SIGALRM)}
        handlers[signal.SIGCONT] = signal.signal(signal.SIGCONT, note_continued)
        try:
            self.prctl(PR_SET_CHILD_SUBREAPER, 1)
            self._start(before)
            with closing(Signals(watched)) as signals:
                return self._wait(signals)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            if self.had_terminal and not has_terminal():  # SIGHUP comes for more than one reason
                signal.signal(signal.SIGHUP, signal.SIG_IGN)
            self._end_descendants()
            self.prctl(PR_SET_CHILD_SUBREAPER, 0)
            while watched & signal.sigpending():
                signal.sigwait(watched & signal.sigpending())
            for number, handler in handlers.items():
                signal.signal(number, handler)
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _start(self, mask: set[Any]) -> None:
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid:
            return
        try:
            self.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(1)
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores these two
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for number in (getattr(signal, name) for name in PASSED_ON):
                if callable(signal.getsignal(number)):  # ours would raise here, before the exec
                    signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            os._exit(become(self.argv, self.env))
        except BaseException as error:
            say(f"shellenv: cannot run {self.argv[0]}: {error}")
            os._exit(126)

    def _wait(self, signals: Signals) -> End:
        while True:
            number, sent = signals.wait()
            if number == signal.SIGCHLD:
                if (end := self._collect()) is not None:
                    return end
            elif number == signal.SIGALRM:
                self._send(signal.SIGKILL)
            elif number == signal.SIGTSTP:
                if sent:
                    self._send(number)
                    if was_continued():  # before that, so that it would stay stopped
                        self._send(signal.SIGCONT)
                # The terminal's went to the program, too. We stop when that has: a shell reads the
                # terminal from then on. It may as well not stop, or not yet.
            else:
                self.interrupted |= number == signal.SIGINT
                if number == signal.SIGHUP and self.had_terminal and not has_terminal():
                    signal.setitimer(signal.ITIMER_REAL, GRACE)
                if sent:
                    self._send(number)

    def _collect(self) -> End | None:
        """Take note of every child that changed; how the program ended, once it has."""
        end = None
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            if pid == self.pid:
                code = os.waitstatus_to_exitcode(status)
                end = End(code if code >= 0 else 128 - code, max(-code, 0), self.interrupted)
        if end is None and self._stopped() and stop():
            self._send(signal.SIGCONT)
        return end

    def _stopped(self) -> bool:
        """Has it stopped, with all its threads? False where nobody can know."""
        was_continued()  # by what came before that
        for _ in range(2 if CAN_LOOK else 0):
            try:
                found = os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WNOWAIT | os.WNOHANG)
            except ChildProcessError:
                return False
            if found is None or found.si_code != os.CLD_STOPPED:
                return False
            time.sleep(0.02)  # SIGCONT for the group may have reached us first
        return CAN_LOOK

    def _send(self, number: int) -> None:
        with suppress(OSError):  # it has ended, or is another user's now (sudo)
            os.kill(self.pid, number)

    def _end_descendants(self) -> None:
        """Kill what is left: as we are their reaper, children of children become ours."""
        while True:
            try:
                if os.waitpid(-1, os.WNOHANG)[0]:
                    continue
            except ChildProcessError:
                return
            killed = list(map(_kill, _children(os.getpid())))
            if not any(killed):
                return  # another user's: it cannot be ended, nor waited for
            os.waitpid(-1, 0)


def _kill(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except OSError:
        return False
    return True


def has_terminal() -> bool:
    """Is there a controlling terminal? Opening it fails once it has hung up."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def _children(parent: int) -> list[int]:
    found = []
    for name in os.listdir("/proc") if os.path.isdir("/proc") else ():
        if name.isdecimal():
            try:
                with open(f"/proc/{name}/stat", "rb") as stream:
                    fields = stream.read().rpartition(b")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == parent:
                found.append(int(name))
    return found


def _prctl() -> Callable[[int, int], None]:
    """prctl(2), or nothing where there is none (macOS)."""
    if not sys.platform.startswith("linux"):
        return _nothing
    import ctypes

    function = ctypes.CDLL(None).prctl
    return lambda option, value: function(option, ctypes.c_ulong(value), 0, 0, 0)


def _nothing(_: int, __: object) -> None:
    """A handler, so that the signal is not lost; a prctl that does nothing."""
