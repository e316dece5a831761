"""Long commands: showing what they say (the last line at a terminal, every line elsewhere), and
ending them, with all that they started, when we are ended."""

from __future__ import annotations

import os
import signal
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from typing import IO

from shellenv.cli import printable, say
from shellenv.errors import ShellenvError

KEPT = 40
PATIENCE = 5.0
"""Seconds that what we end has to clean up behind itself."""


def watch(
    title: str,
    argv: Sequence[str],
    env: Mapping[str, str],
    *,
    cwd: str = "/",
    stdin: bytes = b"",
    quiet: bool = False,
    hint: str = "it says above why",
) -> None:
    """Run a program and show what it says on stderr; with `quiet` only if it fails.

    Raises ShellenvError, after the last lines it said, if it fails (then with `hint`) or cannot be
    run. Whatever ends us meanwhile ends it and its children first.
    """
    from shellenv.processes import subprocess

    try:
        child = subprocess.Popen(
            argv,
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that it can be ended whole
        )
    except OSError as error:
        raise ShellenvError(f"cannot run {argv[0]}: {error.strerror}", "is it executable?") from (
            error
        )
    with child:
        assert child.stdin
        assert child.stdout
        try:
            try:
                child.stdin.write(stdin)
                child.stdin.close()
            except BrokenPipeError:
                pass  # it ends, and says why
            last = _kept(child.stdout) if quiet else _shown(title, child.stdout)
            child.wait()
        except BaseException:
            _end(child.pid, signal.SIGTERM)
            try:
                child.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                pass
            finally:
                _end(child.pid, signal.SIGKILL)
            raise
    if child.returncode:
        say(*last)
        raise ShellenvError(f"{title} failed (status {child.returncode})", hint)


def raise_when_ended() -> None:
    """From now on SIGTERM and SIGHUP raise a ShellenvError, so that what has begun is undone."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _raise)


def _raise(number: int, _: object) -> None:
    raise ShellenvError(f"ended by {signal.Signals(number).name}", "", 128 + number)


def _end(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except OSError:
        return


def _shown(title: str, output: IO[bytes]) -> list[str]:
    """Read `output` to its end and show it. At a terminal that is one line which moves, and its
    last `KEPT` lines are returned; elsewhere every line is printed, and none is returned."""
    if sys.stderr is None or not sys.stderr.isatty():
        for line in output:
            say(_text(line))
        return []
    from rich.console import Console
    from rich.markup import escape

    last: deque[str] = deque(maxlen=KEPT)
    with Console(stderr=True).status(escape(title)) as status:
        for line in output:
            last.append(_text(line))
            status.update(f"{escape(title)}: [dim]{escape(last[-1][:80])}")
    return list(last)


def _kept(output: IO[bytes]) -> list[str]:
    """Read `output` to its end; its last `KEPT` lines."""
    return list(deque(map(_text, output), maxlen=KEPT))


def _text(line: bytes) -> str:
    return printable(line.decode("utf-8", "surrogateescape").rstrip("\r\n").rpartition("\r")[2])
