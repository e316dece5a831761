"""A container at a terminal: the docker CLI's, and what it does not do, Ctrl-Z.

In a container a program that stops leaves nobody to come back to: its parent there is an init
which does not notice. So somebody looks, and then stops the client here as the user's shell
expects; `fg` makes both go on.

The client asks once for the window's size and begins to listen for changes after that, so that a
change in between is lost, and what it has asked for may be old by the time it tells the container.
So we tell it as well.
"""

from __future__ import annotations

import _thread
import os
import select
import signal
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import chain, repeat

from shellenv.attach import signal_group
from shellenv.engine import Engine, EngineError
from shellenv.errors import ShellenvError
from shellenv.supervisor import GRACE, End, has_stopped, stop, supervise

WATCH = """until read -r first rest </proc/1/task/1/children; [ "$first" ]; do
  sleep 0.02
done
while [ -e "/proc/$first" ]; do
  state=
  while read -r key value rest; do
    [ "$key" != State: ] || { state=$value; break; }
  done <"/proc/$first/status"
  [ "$state" != T ] || [ "$before" = T ] || echo SIGTSTP
  before=$state
  sleep 0.2
done"""
"""Prints a line each time that the command, the only child of docker's init, is stopped. It may
be there before that child is."""


AGAIN = (0.3, 1, 3)
"""Seconds after which the window's size is told once more, while the client may still be at it."""


def run(
    engine: Engine,
    name: str,
    argv: Sequence[str],
    env: Mapping[str, str],
    remove: Callable[[], None],
) -> End:
    """Run the docker CLI's `argv`, which makes the container `name` and gives it the terminal.

    `remove()` ends the container. It is gone at the end, whatever became of the client; a terminal
    that is gone is told to the command first, which has `GRACE` seconds then.
    """
    return _Terminal(engine, name, argv, env, remove).run()


class _Terminal:
    def __init__(
        self,
        engine: Engine,
        name: str,
        argv: Sequence[str],
        env: Mapping[str, str],
        remove: Callable[[], None],
    ) -> None:
        self.engine = engine
        self.path = f"/containers/{name}"
        self.argv = argv
        self.env = env
        self.remove = remove
        self.modes = termios.tcgetattr(0)
        self.changes, self.change = os.pipe()
        os.set_blocking(self.change, False)
        self.done = False

    def run(self) -> End:
        signal.signal(signal.SIGWINCH, lambda *_: self._note_change())
        # Signals are for the thread that looks after the client: one that another thread took would
        # raise what ends a run (see progress), instead of being passed on.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        _thread.start_new_thread(self._watch, ())
        _thread.start_new_thread(self._keep_size, ())
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        try:
            end = supervise(
                self.argv,
                self.env,
                forward=self._forward,
                hangup=self.remove,
                suspend=self._suspend,
                orphan_signal=signal.SIGTERM,
            )
        finally:
            self.done = True
            self._restore()
        if end.signal:  # the client was ended, not the command
            if end.signal == signal.SIGHUP:
                self._hang_up()
            self.remove()
        # Ctrl-C was pressed in there
        return end._replace(interrupted=end.status == 128 + signal.SIGINT)

    def _restore(self) -> None:
        """Have the terminal as it was, before anybody prints: the client may have ended, or lost
        the engine, without doing so. In the background it is somebody else's."""
        with suppress(termios.error, OSError):
            if os.tcgetpgrp(0) == os.getpgrp():
                termios.tcsetattr(0, termios.TCSADRAIN, self.modes)

    def _forward(self, number: int) -> None:
        for _ in range(50):
            try:
                self.engine.post(f"{self.path}/kill", signal=str(number))
                return
            except EngineError:  # noqa: PERF203 # not yet there, or no longer
                time.sleep(0.02)

    def _hang_up(self) -> None:
        """What the kernel does when a terminal goes, and patience."""
        self._to_group(signal.SIGHUP)
        end = time.monotonic() + GRACE
        while time.monotonic() < end:
            found = self.engine.get(f"{self.path}/json")
            if not found or not found["State"]["Running"]:
                return
            time.sleep(0.05)

    def _to_group(self, number: int) -> None:
        with suppress(EngineError):
            signal_group(self.engine, self.path, number)

    # The window

    def _note_change(self) -> None:
        with suppress(BlockingIOError):  # one is as good as many
            os.write(self.change, b".")

    def _keep_size(self) -> None:
        """Tell the container the window's size once it runs, and whenever it changes. Runs in a
        thread, until the connection or the terminal is gone."""
        waits = iter(AGAIN)
        with suppress(ShellenvError, OSError):
            while not self.done:
                if not self._tell_size():
                    time.sleep(0.05)
                elif select.select([self.changes], [], [], next(waits, None))[0]:
                    os.read(self.changes, 1 << 12)

    def _tell_size(self) -> bool:
        """False if the container does not run yet."""
        size = os.get_terminal_size(0)
        if not all(size):  # it has none
            return True
        try:
            self.engine.post(f"{self.path}/resize", h=str(size.lines), w=str(size.columns))
        except EngineError:
            return False
        return True

    # Ctrl-Z

    def _watch(self) -> None:
        """Send ourselves SIGTSTP whenever the command has stopped. Runs in a thread, and looks
        again whatever has ended it: the container may not run yet, a connection may break, and the
        command may kill all that is around it."""
        command = {"Cmd": ["sh", "-c", WATCH], "AttachStdout": True}
        pauses = chain(repeat(0.1, 50), repeat(2))  # it is not to be a burden where it never works
        while not self.done:
            with suppress(ShellenvError, OSError):
                made = self.engine.post(f"{self.path}/exec", command)
                start = f"/exec/{made['Id']}/start"
                with self.engine.hijack(start, {}, {"Detach": False, "Tty": False}) as lines:
                    while chunk := lines.recv(1 << 12):
                        if b"SIGTSTP" in chunk and not self.done:
                            os.kill(os.getpid(), signal.SIGTSTP)
            time.sleep(next(pauses))

    def _suspend(self, client: int) -> None:
        """Stop the client and ourselves with the terminal as it was, and go on when told to."""
        os.kill(client, signal.SIGSTOP)
        # A thread of it that waits for the terminal, and has not yet been told that it is stopped,
        # would take what is typed for the shell.
        has_stopped(client, wait=True)
        raw = termios.tcgetattr(0)
        self._restore()
        stop()
        if os.tcgetpgrp(0) == os.getpgrp():
            termios.tcsetattr(0, termios.TCSADRAIN, raw)
        os.kill(client, signal.SIGCONT)
        self._note_change()
        self._to_group(signal.SIGCONT)
