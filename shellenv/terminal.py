"""A container at a terminal, which is the command's for as long as the run is in the foreground.

What is typed goes there as it is, Ctrl-C too: the container has a terminal of its own, which makes
signals of it (once the command is there: before, they would be lost, so keys wait). But one thing
is not done there. A program that stops in a container leaves nobody to come back to: its parent
there is an init which does not notice. So somebody looks, and then stops us here, as the user's
shell expects. `fg` makes both go on, and so does `bg`, after which the terminal is the shell's:
nothing is read from it until it is ours again.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import termios
import time
import tty
from contextlib import suppress
from itertools import chain, repeat

from shellenv.attach import CHUNK, PATIENCE, Attachment
from shellenv.engine import Engine
from shellenv.errors import ShellenvError
from shellenv.signals import PASSED_ON, in_thread, stop, was_continued
from shellenv.supervisor import End

WATCH = """until read -r first rest </proc/1/task/1/children; [ "$first" ]; do
  sleep 0.02
done
while read -r word; do
  [ "$word" != go ] || kill -s CONT -- "-$first"
  while read -r key value rest; do
    [ "$key" != State: ] || break
  done <"/proc/$first/status" || exit
  echo "$value"
done"""
"""Prints in what state the command is, the only child of docker's init, for each line that it is
given: T if it is stopped. With `go`, all of its group goes on before. It may be there before that
child is, and starts no program as long as it waits."""

HASTE = (0.05, 0.1, 0.2, 0.4, 0.8)
"""How long (s) to wait before each look after Ctrl-Z was typed."""

CTRL_D, CTRL_Z = b"\x04", b"\x1a"

LAST_WORDS = 0.05
"""How long (s) what the command has shown, `^Z` for one, may be on its way when it has stopped."""

STOPPED, THERE = 255, 254
"""The notices, as if they were signals', that the command has stopped, and that it is there."""

IDLE = 2.0
"""How often (s) to look else: the command may stop by itself."""


def run(engine: Engine, name: str, removed: bool) -> End:
    """Start the container `name`, which was created with a terminal, give it ours, and stay with it
    to its end, or until it is `removed` (`--rm`). The terminal is as it was afterwards.

    Raises ShellenvError if it cannot be started, and LostError if the connection to the engine is
    lost.
    """
    end = _Terminal(engine, name, removed).run()
    return end._replace(interrupted=end.status == 128 + signal.SIGINT)  # Ctrl-C, pressed in there


class _Terminal(Attachment):
    SIGNALS = (*PASSED_ON, "SIGTSTP", "SIGWINCH")

    def __init__(self, engine: Engine, name: str, removed: bool) -> None:
        super().__init__(engine, name, True, removed)
        self.modes = termios.tcgetattr(0)
        self.raw: object = None  # its modes when it is ours
        self.is_ours = False
        self.has_stopped = self.asked = self.heard = False
        self.words, self.word = os.pipe()  # for the watch: `z`, Ctrl-Z was typed; `g`, go on

    def begin(self) -> None:
        signal.signal(signal.SIGWINCH, lambda *_: None)  # what is ignored may be lost
        if self.may_read():
            self._take_terminal()

    def begun(self) -> None:
        self._tell_size()
        in_thread(self._watch)
        self.unheard_until = time.monotonic() + PATIENCE

    def end(self) -> None:
        self._give_terminal()

    def look_around(self) -> None:
        super().look_around()
        self.heard = self.heard or time.monotonic() > self.unheard_until
        if not self.is_ours and self.may_read():
            self._take_terminal()
            self._tell_size()

    def take(self, view: memoryview) -> list[tuple[int, memoryview]]:
        return [(1, view)] if view else []

    def cannot_write(self, number: int) -> None:
        """A terminal that is gone is told otherwise."""

    def react(self, number: int, sent: int) -> None:
        if number == signal.SIGWINCH:
            self._tell_size()
        elif number == STOPPED:
            self.suspend()
        elif number == THERE:
            self.heard = True
        elif number == signal.SIGTSTP:
            if not self.has_stopped:
                self.asked = True
                self.kill(number, group=not sent)
                os.write(self.word, b"z")  # the watcher says whether it has stopped
        elif number == signal.SIGCONT:  # meanwhile the shell may have changed it, or has it
            self.is_ours = False
        else:
            super().react(number, sent)

    def typed(self, keys: bytes) -> None:
        if CTRL_Z in keys:
            os.write(self.word, b"z")

    def suspend(self) -> None:
        """Stop our process group, as a terminal does, until we are continued."""
        self._give_terminal()
        if not self.asked:
            was_continued()  # by somebody who has not seen us stop
        self.asked = False
        stop(group=True)
        self.look_around()
        os.write(self.word, b"g")

    def _take_terminal(self) -> None:
        """Have each key come to us as it is typed."""
        with suppress(termios.error, OSError):
            modes = termios.tcgetattr(0)
            if modes != self.raw:  # else a shell has restored what we had when something stopped us
                self.modes = modes
                self._take_lines()
            tty.setraw(0, termios.TCSANOW)
            self.raw = termios.tcgetattr(0)
        self.is_ours = True

    def _take_lines(self) -> None:
        """Take what was typed ahead as lines: as keys, a Ctrl-D among them would be a NUL."""
        there = select.poll()
        there.register(0, select.POLLIN)
        while self.modes[3] & termios.ICANON and there.poll(0) == [(0, select.POLLIN)]:
            line = os.read(0, CHUNK)
            end = b"" if line.endswith(b"\n") else CTRL_D
            self.to_send = memoryview(bytes(self.to_send) + line + end)

    def _give_terminal(self) -> None:
        """Have the terminal as it was, unless it is somebody else's by now."""
        with suppress(termios.error, OSError):
            if self.is_ours and os.tcgetpgrp(0) == os.getpgrp():
                termios.tcsetattr(0, termios.TCSADRAIN, self.modes)
        self.is_ours = False

    def _tell_size(self) -> None:
        """Tell the container the window's size."""
        with suppress(ShellenvError, OSError):
            size = os.get_terminal_size(0)
            if all(size):  # it has one
                self.hurried.post(f"{self.path}/resize", h=str(size.lines), w=str(size.columns))

    def _watch(self) -> None:
        """Look after the command, as a parent would. Runs in a thread, and begins again whatever
        has ended it: a connection may break, and the command may kill all that is around it."""
        command = {"Cmd": ["sh", "-c", WATCH], "AttachStdin": True, "AttachStdout": True}
        pauses = chain(repeat(0.1, 50), repeat(2))  # it is not to be a burden where it never works
        while not self.done:
            with suppress(ShellenvError, OSError):
                made = self.engine.post(f"{self.path}/exec", command)
                start = f"/exec/{made['Id']}/start"
                with self.engine.hijack(start, {}, {"Detach": False, "Tty": False}) as watcher:
                    self._look(watcher)
            time.sleep(next(pauses))

    def _look(self, watcher: socket.socket) -> None:
        """Give notice whenever the command has stopped, and have it go on when we do. Ends when the
        watcher does."""
        pauses, said = iter(HASTE), b""
        while not self.done:
            if not said and select.select([self.words], [], [], next(pauses, IDLE))[0]:
                said = os.read(self.words, 1 << 12)
            if b"z" in said:
                pauses = iter(HASTE)
            watcher.sendall(b"go\n" if b"g" in said else b"\n")
            said, state = b"", watcher.recv(1 << 12)
            if not state:
                return
            if not self.heard:
                os.write(self.notices, bytes((THERE, 0)))
            self.has_stopped = state.endswith(b"T\n")
            if self.has_stopped:
                time.sleep(LAST_WORDS)
                os.write(self.notices, bytes((STOPPED, 0)))
                while b"g" not in said:
                    said = os.read(self.words, 1 << 12)
