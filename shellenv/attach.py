"""A container: started, its streams joined to ours, its end waited for.

The Engine's API does that with one client less than the docker CLI, which takes longer to start,
passes Ctrl-C and Ctrl-Z on to one process alone, and in the background of a terminal reads it
without end. What is different at a terminal is in `terminal`.
"""

from __future__ import annotations

import _thread
import errno
import os
import select
import signal
import socket
import time
from contextlib import suppress
from typing import Any

from shellenv.engine import Engine, LostError
from shellenv.errors import ShellenvError
from shellenv.supervisor import GRACE, PASSED_ON, End, has_terminal, next_signal, stop

CHUNK = 1 << 18

NO_KEYS = b"\xff,\xfe,\xff,\xfe"
"""What one cannot type. Else the engine would keep back a Ctrl-P until it sees the next key."""

TERMINAL_SIGNALS = (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)

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
        self.removed = removed
        self.path = f"/containers/{name}"
        self.stdin: int | None = 0 if stdin else None
        self.keyboard = stdin and os.isatty(0)
        self.to_send = memoryview(b"")
        self.left = 0  # bytes that are still to come of the current frame
        self.target: int | None = None  # where they go
        self.head = b""
        self.interrupted = self.done = self.hung_up = False
        self.deaf_since = 0.0
        self.deadline = 0.0
        self.had_terminal = has_terminal()

    def run(self) -> End:
        watched = {getattr(signal, name) for name in self.SIGNALS}
        watched = {number for number in watched if signal.getsignal(number) is not signal.SIG_IGN}
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {*watched, signal.SIGCONT})
        signals, notices = os.pipe()
        listener = _thread.start_new_thread(self._listen, (watched, notices))
        condition = "removed" if self.removed else "next-exit"
        try:
            with (
                self.engine.hijack(f"{self.path}/attach", self._attach_query()) as streams,
                self.engine.waiting(f"{self.path}/wait", condition=condition) as ending,
            ):
                self.begin()
                self.engine.post(f"{self.path}/start")
                self.begun()
                return self._pump(streams, ending, signals)
        finally:
            self.done = True
            self.end()
            if self.hung_up:  # it comes once more when the shell has ended, too
                signal.signal(signal.SIGHUP, signal.SIG_IGN)
            signal.pthread_kill(listener, signal.SIGUSR1)
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

    def _listen(self, watched: set[Any], notices: int) -> None:
        """Hand each signal over as two bytes: its number, and whether it was sent to us alone.

        A thread does it because no system call waits for a signal and for data, and tells who sent
        the signal.
        """
        while not self.done:
            number, sent = next_signal({*watched, signal.SIGUSR1})
            os.write(notices, bytes((number, sent)))

    def _pump(self, streams: socket.socket, ending: socket.socket, signals: int) -> End:
        streams.setblocking(False)
        open_streams, status = True, b""
        while open_streams or not status.rstrip().endswith(b"}"):
            self.look_around()
            poll = select.poll()
            poll.register(signals, select.POLLIN)
            if open_streams:
                poll.register(streams, select.POLLIN | (select.POLLOUT if self.to_send else 0))
            poll.register(ending, select.POLLIN)
            if self.stdin is not None and not self.to_send and self.may_read():
                poll.register(self.stdin, select.POLLIN)
            for fd, event in poll.poll(self._patience()):
                if fd == signals:
                    self.react(*os.read(signals, 2))
                elif fd == ending.fileno():
                    chunk = _received(ending)
                    status += chunk
                    if not chunk:
                        return self._ended(status)
                elif fd == streams.fileno():
                    if event & select.POLLOUT:
                        self._send(streams)
                    if event & ~select.POLLOUT:
                        open_streams = self._receive(streams)
                elif fd == self.stdin:
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
        self.take(memoryview(chunk))
        return bool(chunk)

    def take(self, view: memoryview) -> None:
        """Write what has come. Frames: the stream (1 or 2), three zeros, the length in four bytes,
        big-endian (Engine API, ContainerAttach)."""
        while view:
            if self.left == 0:
                missing = 8 - len(self.head)
                self.head += bytes(view[:missing])
                view = view[missing:]
                if len(self.head) == 8:
                    self.target = self.head[0]
                    self.left = int.from_bytes(self.head[4:], "big")
                    self.head = b""
                continue
            part = view[: self.left]
            view = view[len(part) :]
            self.left -= len(part)
            self.write(2 if self.target == 2 else 1, part)

    def write(self, fd: int, data: memoryview) -> None:
        if fd == 1 and self.deaf_since:
            return
        while data:
            try:
                data = data[os.write(fd, data) :]
            except BlockingIOError:  # noqa: PERF203
                select.select([], [fd], [])
            except OSError as error:
                if fd == 1 and error.errno == errno.EPIPE:
                    # Its own write would have got this
                    self.deaf_since = time.monotonic()
                    self._kill(signal.SIGPIPE)
                elif fd == 1:
                    raise ShellenvError(
                        f"cannot write to stdout: {error.strerror}", "the output is not complete"
                    ) from error
                return

    # Signals

    def react(self, number: int, sent: int) -> None:
        """Pass a signal on, which was `sent` to us alone, or came from our terminal."""
        if number == signal.SIGTSTP:
            self.suspend()
            return
        self.interrupted |= number == signal.SIGINT
        if number == signal.SIGHUP and self.had_terminal and not has_terminal():
            self.deadline = time.monotonic() + GRACE
            self.hung_up = True
        if (sent and not self.hung_up) or number not in TERMINAL_SIGNALS:
            self._kill(number)
        else:
            self.kill_group(number)

    def _kill(self, number: int) -> None:
        with suppress(ShellenvError):  # it has ended; a lost connection is told otherwise
            self.engine.post(f"{self.path}/kill", signal=str(int(number)))

    def kill_group(self, number: int) -> None:
        """Send a signal to all of the command's process group."""
        try:
            signal_group(self.engine, self.path, number)
        except ShellenvError:
            self._kill(number)

    def suspend(self) -> None:
        """Stop as Ctrl-Z would have the command stopped, until we are continued."""
        with suppress(ShellenvError):
            self.engine.post(f"{self.path}/pause")
        stop()
        with suppress(ShellenvError):
            self.engine.post(f"{self.path}/unpause")

    def _patience(self) -> int | None:
        """How long to wait for something to happen, in milliseconds."""
        waiting = self.deadline or self.deaf_since or not self.may_read()
        return 200 if waiting else None

    def look_around(self) -> None:
        """Do what nothing tells us to do, but the time that has passed."""
        now = time.monotonic()
        if self.deaf_since and not self.deadline and now > self.deaf_since + 0.5:
            self._kill(signal.SIGTERM)  # it ignores SIGPIPE, and will get no answer
            self.deadline = now + GRACE
        if self.deadline and now > self.deadline:
            self._kill(signal.SIGKILL)
            self.deadline = now + GRACE
