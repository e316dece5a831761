"""A container: started, its streams joined to ours, its end waited for.

The Engine's API does that with one client less than the docker CLI, which takes longer to start,
passes Ctrl-C and Ctrl-Z on to one process alone, and in the background of a terminal reads it
without end. What is different at a terminal is in `terminal`.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import socket
import time
from contextlib import suppress
from itertools import groupby
from operator import itemgetter

from shellenv.engine import Engine, EngineError, LostError
from shellenv.errors import ShellenvError
from shellenv.frames import Frames
from shellenv.signals import PASSED_ON, Signals, in_thread, note_continued, stop
from shellenv.supervisor import GRACE, End, has_terminal

CHUNK = 1 << 18

MUCH = 1 << 23
"""More than is on its way from a command to us, whatever is between: the engine, a connection."""

PATIENCE = 2.0
"""Seconds in which the engine does something about a container. One whose command has ended, and
whose output has not been taken, it keeps locked: it would never answer, as we would not take it."""

NO_KEYS = b"\xff,\xfe,\xff,\xfe"
"""What one cannot type. Else the engine would keep back a Ctrl-P until it sees the next key."""

TERMINAL_SIGNALS = (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)
ENDING_SIGNALS = (*TERMINAL_SIGNALS, signal.SIGTERM)

TO_GROUP = """tries=0
while [ "$tries" -lt 100 ]; do
  read -r first rest </proc/1/task/1/children
  [ "$first" ] && kill -s "$0" -- "-$first" && break
  tries=$((tries + 1))
  sleep 0.02
done 2>/dev/null
"""
"""What a terminal does with Ctrl-C: the signal goes to all of the command's process group. Its
first process is the only child of docker's init, which makes a group of it. The signal may be there
before either is."""


def run(engine: Engine, name: str, stdin: bool, removed: bool) -> End:
    """Start the container `name`, which was created with its streams attached (`-i` if `stdin`),
    and stay with it to its end, or until it is `removed` (`--rm`).

    Signals go to the command: those from our terminal to all of its process group, what was sent
    to us alone to its first process. Ctrl-Z pauses the container. Raises ShellenvError if it cannot
    be started, and LostError if the connection to the engine is lost.
    """
    return Attachment(engine, name, stdin, removed).run()


def signal_group(engine: Engine, path: str, number: int) -> None:
    """Send a signal to the command's process group in the container at the API's `path`. Raises
    EngineError if that does not run."""
    name = signal.Signals(number).name.removeprefix("SIG")
    made = engine.post(f"{path}/exec", {"Cmd": ["sh", "-c", TO_GROUP, name]})
    engine.post(f"/exec/{made['Id']}/start", {"Detach": True})


def _received(connection: socket.socket) -> bytes:
    """What there is; nothing at the end, however it has come about."""
    try:
        return connection.recv(CHUNK)
    except ConnectionError:
        return b""


class Attachment:
    """One container's streams, signals and end; see `run`."""

    SIGNALS: tuple[str, ...] = (*PASSED_ON, "SIGTSTP")

    def __init__(self, engine: Engine, name: str, stdin: bool, removed: bool) -> None:
        self.engine = engine
        self.hurried = Engine(engine.host, PATIENCE)
        self.removed = removed
        self.path = f"/containers/{name}"
        self.stdin: int | None = 0 if stdin else None
        self.keyboard = stdin and os.isatty(0)
        self.to_send = memoryview(b"")
        self.frames = Frames()
        self.writing = False
        self.backlog: list[tuple[int, memoryview]] = []  # what is written after that
        self.told_to_end = 0.0  # when
        self.interrupted = self.done = self.hung_up = False
        self.heard = True  # is there somebody to type for?
        self.deaf_since = 0.0
        self.deadline = 0.0
        self.had_terminal = has_terminal()
        self.noticed, self.notices = os.pipe()  # two bytes each: see `_note`

    def run(self) -> End:
        watched = {getattr(signal, name) for name in self.SIGNALS}
        watched = {number for number in watched if signal.getsignal(number) is not signal.SIG_IGN}
        before = signal.pthread_sigmask(signal.SIG_BLOCK, watched)
        handler = signal.signal(signal.SIGCONT, self._continued)
        self.signals = Signals(watched)
        condition = "removed" if self.removed else "next-exit"
        try:
            with (
                self.engine.hijack(f"{self.path}/attach", self._attach_query()) as streams,
                self.engine.waiting(f"{self.path}/wait", condition=condition) as ending,
            ):
                self.begin()
                self.engine.post(f"{self.path}/start")
                self.begun()
                return self._pump(streams, ending)
        finally:
            self.done = True
            self.end()
            if self.hung_up:  # it comes once more when the shell has ended, too
                signal.signal(signal.SIGHUP, signal.SIG_IGN)
            self.signals.close()
            signal.signal(signal.SIGCONT, handler)
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def begin(self) -> None:
        """Called before the container is started."""

    def begun(self) -> None:
        """Called when it has been started."""

    def typed(self, keys: bytes) -> None:
        """Called for what has been read, before it is sent."""

    def end(self) -> None:
        """Called at the end, however that has come."""

    def _attach_query(self) -> dict[str, str | bytes]:
        query: dict[str, str | bytes] = {"stream": "1", "stdout": "1", "stderr": "1"}
        if self.stdin is not None:
            query.update(stdin="1", detachKeys=NO_KEYS)
        return query

    def _continued(self, *_: object) -> None:
        note_continued()
        os.write(self.notices, bytes((signal.SIGCONT, 0)))

    def _pump(self, streams: socket.socket, ending: socket.socket) -> End:
        streams.setblocking(False)
        open_streams, status, ended = True, b"", False
        while open_streams or self.writing or not ended:
            self.look_around()
            poll = select.poll()
            poll.register(self.signals.fd, select.POLLIN)
            poll.register(self.noticed, select.POLLIN)
            events = select.POLLIN if self._may_receive() else 0
            events |= select.POLLOUT if self.to_send else 0
            if open_streams and events:
                poll.register(streams, events)
            if not ended:
                poll.register(ending, select.POLLIN)
                if self.stdin is not None and not self.to_send and self.may_read() and self.heard:
                    poll.register(self.stdin, select.POLLIN)
            ready = poll.poll(GRACE * 1000 if ended else self._patience())
            if ended and not ready and (self.told_to_end or not self.writing):
                break  # nothing comes any more; nobody takes what is left of a killed command
            for fd, event in ready:
                if fd == self.signals.fd:
                    for number, sent in self.signals.take():
                        self.react(number, sent)
                elif fd == self.noticed:
                    self._note(*os.read(self.noticed, 2))
                elif fd == ending.fileno():
                    chunk = _received(ending)
                    status += chunk
                    ended = not chunk or status.rstrip().endswith(b"}")
                elif fd == streams.fileno():
                    if event & select.POLLOUT:
                        self._send(streams)
                    if event & ~select.POLLOUT:
                        open_streams = self._receive(streams)
                elif fd == self.stdin and self.may_read():  # the shell may have gone on since
                    self._read(streams)
        return self._ended(status)

    def _ended(self, status: bytes) -> End:
        import json

        try:
            code = int(json.loads(status)["StatusCode"])
        except (ValueError, KeyError, TypeError):
            raise LostError(
                "the connection to the Docker Engine was lost", "the next run removes what is left"
            ) from None
        return End(code, 0, self.interrupted)

    # Streams

    def may_read(self) -> bool:
        """In the background, reading the terminal would stop us where the command might not."""
        if not self.keyboard:
            return True
        try:
            return os.tcgetpgrp(0) == os.getpgrp()
        except OSError:
            return True

    def _read(self, streams: socket.socket) -> None:
        try:
            chunk = os.read(0, CHUNK)
        except BlockingIOError:
            return
        except OSError:  # a directory; a terminal that is gone
            chunk = b""
        if chunk:
            self.typed(chunk)
            self.to_send = memoryview(chunk)
            self._send(streams)
        else:
            self._close_stdin(streams)

    def _send(self, streams: socket.socket) -> None:
        try:
            while self.to_send:
                self.to_send = self.to_send[streams.send(self.to_send) :]
        except BlockingIOError:
            return
        except OSError:  # the command does not read it, or has ended
            self.to_send = memoryview(b"")
            self.stdin = None

    def _close_stdin(self, streams: socket.socket) -> None:
        self.stdin = None
        with suppress(OSError):
            streams.shutdown(socket.SHUT_WR)

    def _receive(self, streams: socket.socket) -> bool:
        """Take what there is; False at the end."""
        try:
            chunk = streams.recv(CHUNK)
        except BlockingIOError:
            return True
        except OSError:  # the other connection says what has become of it
            return False
        self.backlog += self.take(memoryview(chunk))
        self._write_backlog()
        return bool(chunk)

    def _may_receive(self) -> bool:
        """Not before what came is written, so that the command waits for its reader. But to the
        engine it has not ended before its output is taken: that of one that is to end is. It may
        write all the while until it ends, so more is taken as time goes by: each time after a pause
        twice as long, for the command that does not end."""
        if not self.writing or not self.told_to_end:
            return not self.writing
        tenths = int(10 * (time.monotonic() - self.told_to_end))
        allowed = MUCH * (tenths + 1).bit_length()
        return sum(len(part) for _, part in self.backlog) < allowed

    def _write_backlog(self) -> None:
        if self.backlog and not self.writing:
            self.writing = True
            in_thread(self._write, self.backlog)
            self.backlog = []

    def take(self, view: memoryview) -> list[tuple[int, memoryview]]:
        """What is to be written of what has come, and where."""
        parts = self.frames.take(view)
        return [part for part in parts if part[0] == 2 or not self.deaf_since]

    def _write(self, parts: list[tuple[int, memoryview]]) -> None:
        """Write it all, and give notice: a zero, and what was wrong with stdout. Runs in a thread:
        who reads it may take their time, and signals are to be heard meanwhile."""
        wrong = 0
        for fd, group in groupby(parts, itemgetter(0)):
            data = memoryview(b"".join(part for _, part in group))
            try:
                while data:
                    try:
                        data = data[os.write(fd, data) :]
                    except BlockingIOError:  # noqa: PERF203
                        select.select([], [fd], [])
            except OSError as error:
                wrong = (error.errno or errno.EIO) if fd == 1 else wrong
        os.write(self.notices, bytes((0, wrong)))

    def _note(self, number: int, value: int) -> None:
        """A notice has come: of what was written (0), or one that is reacted to as to a signal."""
        if number:
            self.react(number, value)
            return
        self.writing = False
        if value and not self.deaf_since:
            self.cannot_write(value)
        self._write_backlog()

    def cannot_write(self, number: int) -> None:
        """Stdout takes no more, for a reason that `errno` has."""
        if number != errno.EPIPE:
            raise ShellenvError(
                f"cannot write to stdout: {os.strerror(number)}", "the output is not complete"
            )
        self.deaf_since = time.monotonic()
        self.kill(signal.SIGPIPE)  # its own write would have got this

    # Signals

    def react(self, number: int, sent: int) -> None:
        """Pass a signal on, which was `sent` to us alone, or came from our terminal."""
        if number == signal.SIGTSTP:
            self.suspend()
        if number in (signal.SIGTSTP, signal.SIGCONT):
            return
        self.interrupted |= number == signal.SIGINT
        if number in ENDING_SIGNALS:
            self.told_to_end = self.told_to_end or time.monotonic()
        if number == signal.SIGHUP and self.had_terminal and not has_terminal():
            self.deadline = time.monotonic() + GRACE
            self.hung_up = True
        self.kill(number, group=number in TERMINAL_SIGNALS and (not sent or self.hung_up))

    def kill(self, number: int, group: bool = False) -> None:
        """Send a signal to the command's first process, or to all of its process `group`."""
        in_thread(self._kill, number, group)  # see PATIENCE

    def _kill(self, number: int, group: bool) -> None:
        with suppress(ShellenvError):  # it has ended; a lost connection is told otherwise
            if group:
                with suppress(EngineError):
                    signal_group(self.engine, self.path, number)
                    return
            self.engine.post(f"{self.path}/kill", signal=str(int(number)))

    def suspend(self) -> None:
        """Stop as Ctrl-Z would have the command stopped, until we are continued."""
        with suppress(ShellenvError):
            self.hurried.post(f"{self.path}/pause")
        stop()
        with suppress(ShellenvError):
            self.hurried.post(f"{self.path}/unpause")

    def _patience(self) -> int | None:
        """How long to wait for something to happen, in milliseconds."""
        waiting = self.deadline or self.deaf_since or not self.heard or not self.may_read()
        return 200 if waiting or (self.told_to_end and self.writing) else None

    def look_around(self) -> None:
        """Do what nothing tells us to do, but the time that has passed."""
        now = time.monotonic()
        if self.deaf_since and not self.deadline and now > self.deaf_since + 0.5:
            self.kill(signal.SIGTERM)  # it ignores SIGPIPE, and will get no answer
            self.deadline = now + GRACE
        if self.deadline and now > self.deadline:
            self.kill(signal.SIGKILL)
            self.deadline = now + GRACE
