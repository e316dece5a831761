"""A shell at the far end, started before it is known what it is to run.

The way there and a login shell's start-up files take longer than what is found out meanwhile.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from typing import IO

from shellenv import files
from shellenv.errors import ShellenvError

# In words that every login shell reads alike
_WAITING = 'exec sh -c \'read -r n && eval "$(head -c "$n")"\''


class Channel:
    """One session over the connection that is there: a shell, which waits for the number of bytes
    of its script, a newline, and the script. Use it as a context manager; leaving it ends it.

    Raises ShellenvError without ssh."""

    def __init__(self, ssh: Sequence[str]) -> None:
        from shellenv.processes import subprocess

        self._errors = files.unnamed()
        self.ssh = tuple(ssh)
        self._used = False
        try:
            self._child = subprocess.Popen(
                [*ssh, _WAITING],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                start_new_session=True,  # Ctrl-C is ours to handle
            )
        except FileNotFoundError:
            self._errors.close()
            raise ShellenvError("ssh is not in PATH", "install OpenSSH's client") from None
        assert self._child.stdin
        assert self._child.stdout
        self.stdin: IO[bytes] = self._child.stdin
        self.stdout: IO[bytes] = self._child.stdout

    def __enter__(self) -> Channel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, data: bytes) -> None:
        """Send a script, or what one reads. Raises OSError."""
        self._used = True
        self.stdin.write(data)
        self.stdin.flush()

    def close(self) -> None:
        """End the far shell, by the end of its stdin; nobody waits for a way that was not used."""
        if not self._used:
            self.kill()
        with suppress(OSError):
            self.stdin.close()
        self.stdout.close()
        try:
            self._child.wait(5)
        except Exception:
            self._child.kill()
            self._child.wait()
        self._errors.close()

    def kill(self) -> None:
        """End it now."""
        self._child.kill()

    @property
    def is_fresh(self) -> bool:
        """Can it be used, and is nothing of it used yet?"""
        return self._child.poll() is None and not self._used

    def said(self) -> str:
        """What the far end, or ssh, has said on stderr."""
        self._errors.seek(0)
        return os.fsdecode(self._errors.read()[-4096:])


# What rsync starts in place of ssh: it hands over the command, then what comes, both ways
_RELAY = """\
[ "$1" != -l ] || shift 2; shift; set -- "$*"; printf "%s\\n%s" "${{#1}}" "$1" >/dev/fd/{0}; \
exec 3<&0; cat <&3 3<&- >/dev/fd/{0} & exec cat </dev/fd/{1} 3<&-"""


class Loan:
    """A channel whose shell gives it to an rsync, until that is over, and then runs `then`.

    The end of rsync's words is the `token` of the shell's lines (see `remote`), which rsync does
    not know. `relay` is for rsync's `-e`, `ends` are the descriptors that it needs.

    The loan is `over` when rsync has come to its end there: then the channel is the shell's again.
    If rsync is over only here, the channel is lost: what the shell would read next could be
    anything.
    """

    def __init__(self, channel: Channel, token: bytes, then: bytes) -> None:
        import threading

        self._channel, self._token, self._then = channel, token, then
        self.over = False
        incoming, self._out = os.pipe()
        self.ends = (channel.stdin.fileno(), incoming)
        self._thread = threading.Thread(target=self._forward, daemon=True)

    @property
    def relay(self) -> str:
        return f"sh -c '{_RELAY.format(*self.ends)}' sh"

    def begin(self) -> None:
        """The shell there is to wait for the command. If it is gone, rsync will find no one."""
        with suppress(OSError):
            self._channel.send(self._token + b" lend\n")

    def begun(self) -> None:
        """rsync has been started, and has the ends."""
        os.close(self.ends[1])
        self._thread.start()

    def end(self) -> None:
        """rsync is over here."""
        if self._thread.ident is None:
            os.close(self.ends[1])
            os.close(self._out)
        else:
            if not self.over:
                self._channel.kill()
            self._thread.join()

    def _forward(self) -> None:
        """Hand on what comes from there, until the shell says that rsync has ended."""
        tail = b""
        try:
            while chunk := self._channel.stdout.read1(1 << 16):  # type: ignore[attr-defined]
                tail = (tail + chunk)[-len(self._token) :]
                ended = tail == self._token
                if ended:
                    self.over = True
                    with suppress(OSError):  # the shell has ended meanwhile: its answer will lack
                        self._channel.send(self._token + b" " + self._then)
                    chunk = chunk[: -len(self._token)]
                while chunk:
                    chunk = chunk[os.write(self._out, chunk) :]
                if ended:
                    return
        except OSError:
            return  # rsync is over
        finally:
            os.close(self._out)
