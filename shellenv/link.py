"""The connection to a dock as a process sees it: one OpenSSH master, and a session over it.

The session runs `sh` at the dock, which answers questions, and ends when the connection does: that
is how one notices. Whoever holds a `Link` and is killed takes all of it along: the session ends
with its input, and a master ends when nothing has used it for `LINGER` seconds (ssh_config(5),
ControlPersist). Only the holder of the connection's turn opens one: a second master at the same
control socket would have no way to end.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

from shellenv import dockside, problems, ssh
from shellenv.connection import Facts, Place
from shellenv.docks import Dock
from shellenv.problems import LinkError

if TYPE_CHECKING:
    import subprocess

LINGER = 10
"""How long (s) a master lives that nobody uses."""

ALIVE = ("ServerAliveInterval=5", "ServerAliveCountMax=3", "TCPKeepAlive=yes")
"""A network that is gone without a word is noticed within 15 s."""

Settings = Callable[[], Mapping[str, str]]
"""What `ssh -G` says, once somebody wants to know."""


class Link:
    """An open connection to the dock of an `Opener`. `facts` are what the dock has said."""

    def __init__(self, opener: Opener, session: subprocess.Popen[bytes], reused: bool) -> None:
        self.opener, self.session, self.reused = opener, session, reused
        self.facts: Facts

    @property
    def place(self) -> Place:
        return self.opener.place

    @property
    def descriptor(self) -> int:
        """Readable when the session has ended."""
        assert self.session.stdout is not None
        return self.session.stdout.fileno()

    def ask(self, text: str, end: float) -> list[tuple[str, str]] | None:
        """Have the session run `text`, for sh, which can `say NAME VALUE`: all that it has said,
        `status` at last. None if it takes until `end`, or if the session is over.

        What the dock's login shell says by itself does not get in between: our lines are marked.
        """
        import select

        mark = f"shellenv-{os.urandom(6).hex()} "
        say = f'say() {{ printf \'\\n{mark}%s %s\\n\' "$1" "$2"; }}'
        assert self.session.stdin is not None
        try:
            self.session.stdin.write(f"{say}\n{text}\nsay status $?\n".encode())
            self.session.stdin.flush()
        except OSError:
            return None
        received, last = bytearray(), f"\n{mark}status ".encode()
        while True:
            found = received.find(last)
            if found >= 0 and b"\n" in received[found + len(last) :]:
                break
            ready, _, _ = select.select([self.descriptor], [], [], max(end - monotonic(), 0))
            chunk = os.read(self.descriptor, 1 << 20) if ready else b""
            if not chunk:
                return None
            received += chunk
        marked = (
            line for line in os.fsdecode(bytes(received)).split("\n") if line.startswith(mark)
        )
        pairs = (line[len(mark) :].partition(" ") for line in marked)
        return [(name, value) for name, _, value in pairs]

    def forward(self, there: str, again: bool = False) -> bool:
        """Forward the dock's socket `there` to ours; false if ssh cannot. `again`: it has done so,
        but ours is gone."""
        forwarding = ("-L", f"{self.place.socket}:{there}")
        if again or self.reused:
            self.place.tell("cancel", *forwarding)
        with suppress(OSError):
            os.unlink(self.place.socket)
        return self.place.tell("forward", *forwarding)

    def close(self, gently: bool = False) -> None:
        """End the master and the session; `gently`: once what goes through them has ended."""
        import signal

        self.place.tell("stop" if gently else "exit")
        with suppress(OSError):
            os.killpg(self.session.pid, signal.SIGKILL)
        for stream in (self.session.stdin, self.session.stdout):
            assert stream is not None
            with suppress(OSError):  # what was to be said to it
                stream.close()
        self.session.poll()
        for path in (self.place.control, self.place.socket):
            with suppress(OSError):
                os.unlink(path)


class Opener(NamedTuple):
    """All that it takes to open the connection to a dock, now and again later.

    `words` reach the dock, `settings` are its `ssh -G`, `transport` is `[shellenv.ssh] transport`.
    The environment for ssh is that of the process which has made this.
    """

    client: ssh.Client
    dock: Dock
    words: Sequence[str]
    place: Place
    settings: Settings
    transport: str

    def open(self, ask: bool = False) -> Link:
        """Open it, within `client.limit` seconds. Whoever does has the turn.

        With `ask`, ssh may ask for a passphrase or a password at the terminal, and takes its time.
        Raises LinkError; then nothing is left.
        """
        end = monotonic() + self.client.limit
        reused = self._has_master()
        if not reused:
            self._start_master(ask)
            end = max(end, monotonic() + 5) if ask else end
        link = Link(self, self._start_session(), reused)
        try:
            link.facts = dockside.explore(link, end)
        except BaseException:
            link.close()
            raise
        return link

    def abort(self) -> None:
        """End what `open` is waiting for, in another thread."""
        self.client.running.end()

    def _has_master(self) -> bool:
        """Is there one, which somebody who was killed has left?"""
        if not os.path.exists(self.place.control):
            return False
        if self.place.tell("check"):
            return True
        with suppress(OSError):
            os.unlink(self.place.control)  # it was killed, too
        return False

    def _start_master(self, ask: bool) -> None:
        """Start the master. It goes into the background by itself once it is connected."""
        place, client = self.place, self.client
        with open(place.log, "wb"):
            pass  # what ssh says this time
        own = (
            *("ControlMaster=yes", f"ControlPath={place.control.replace('%', '%%')}"),
            *(f"ControlPersist={LINGER}", "StreamLocalBindUnlink=yes", *ALIVE),
            *(("BatchMode=no",) if ask else ()),
            f"ConnectTimeout={client.limit}",
        )
        # The first value of an option counts: ours win over those for questions, and over files.
        flags = [word for option in (*own, *ssh.OPTIONS) for word in ("-o", option)]
        argv = [client.ssh, "-N", "-f", "-E", place.log, *flags, *self.words]
        status = client.running.wait(client.ctx, argv, None if ask else client.limit)
        if status != 0:
            with open(place.log, encoding="utf-8", errors="surrogateescape") as stream:
                done = problems.Done(status, "", stream.read())
            name = self.dock.moniker
            raise LinkError(problems.diagnose(done, name, self.settings(), client.limit))

    def _start_session(self) -> subprocess.Popen[bytes]:
        from shellenv.processes import subprocess

        words = [*self.place.ssh("RequestTTY=no"), "--", self.dock.moniker, "sh"]
        return subprocess.Popen(
            [self.client.ssh, *words[1:]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=self.client.ctx.surroundings,
            start_new_session=True,
        )
