"""Opening the connection to a dock: the master, a session over it, the docker socket through it.

The session runs `sh` at the dock, which answers questions and ends when the connection does: that
is how the keeper notices. What stays on this side if the keeper is killed takes itself away: the
session ends with its input, `alive` is removed by what waits for the session, and the master ends
when nothing has used it for `LINGER` seconds (ssh_config(5), ControlPersist).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING

from shellenv import problems, ssh
from shellenv.connection import Facts, Place
from shellenv.docks import Dock
from shellenv.engine import Engine, Version
from shellenv.problems import Problem

if TYPE_CHECKING:
    import subprocess

LINGER = 10
"""How long (s) a master lives that nobody keeps."""

ALIVE = ("ServerAliveInterval=5", "ServerAliveCountMax=3", "TCPKeepAlive=yes")
"""A network that is gone without a word is noticed within 15 s."""

OLDEST_API = "1.24"
"""What Docker's own clients want at least (docker CLI 20 to 28, docker-py 7)."""

QUESTIONS = r"""
LC_ALL=C; export LC_ALL
say() { printf 'shellenv-%s %s\n' "$1" "$2"; }
say user "$(id -un)"
say uid "$(id -u)"
say gid "$(id -g)"
say home "$HOME"
run=${XDG_RUNTIME_DIR:-/run/user/$(id -u)}
context=
if [ -z "${DOCKER_HOST-}" ] && grep -q currentContext "$HOME/.docker/config.json" 2>/dev/null; then
  context=$(docker context inspect --format '{{.Endpoints.docker.Host}}' 2>/dev/null)
fi
for candidate in "${DOCKER_HOST-}" "$context" \
  unix:///var/run/docker.sock "unix://$run/docker.sock" \
  unix:///run/podman/podman.sock "unix://$run/podman/podman.sock"; do
  case $candidate in unix:///*) ;; *) continue ;; esac
  candidate=${candidate#unix://}
  [ -S "$candidate" ] || continue
  if [ -w "$candidate" ]; then say socket "$candidate"; break; fi
  say denied "$candidate"
done
command -v docker >/dev/null 2>&1 && say client docker
say end 0
"""
"""What to ask a dock first; which socket is docker's is asked, not assumed: `DOCKER_HOST`, docker's
context, Docker's own, rootless Docker's, Podman's (podman-system-service(1))."""

VERSION = f"{ssh.VERSION} 2>&1; printf 'shellenv-end %s\\n' $?\n"


Settings = Callable[[], Mapping[str, str]]
"""What `ssh -G` says, once somebody wants to know."""


class LinkError(Exception):
    """The connection could not be opened, for this reason."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class Link:
    """An open connection. `session` ends when it does; `facts` are what the dock has said."""

    def __init__(
        self,
        place: Place,
        dock: Dock,
        words: Sequence[str],
        session: subprocess.Popen[bytes],
        reused: bool,
    ) -> None:
        self.place, self.dock, self.words = place, dock, words
        self.session, self.reused = session, reused
        self.facts: Facts

    @property
    def descriptor(self) -> int:
        """Readable when the session has ended."""
        assert self.session.stdout is not None
        return self.session.stdout.fileno()

    def ask(self, text: str, end: float) -> list[tuple[str, str]] | None:
        """Have the session run `text`, which says `shellenv-end STATUS` last; the lines that it has
        printed, split at the first blank. None if it takes until `end` or the session is over."""
        import select

        assert self.session.stdin is not None
        try:
            self.session.stdin.write(text.encode())
            self.session.stdin.flush()
        except OSError:
            return None
        received = b""
        while True:
            lines = [line.partition(" ") for line in os.fsdecode(received).split("\n")]
            if any(first == "shellenv-end" for first, _, _ in lines[:-1]):
                return [(first, rest) for first, _, rest in lines[:-1]]
            ready, _, _ = select.select([self.descriptor], [], [], max(end - monotonic(), 0))
            chunk = os.read(self.descriptor, 65536) if ready else b""
            if not chunk:
                return None
            received += chunk

    def forward(self, there: str) -> bool:
        """Forward the socket `there` to ours; false if ssh cannot."""
        forwarding = ("-L", f"{self.place.socket}:{there}")
        if self.reused:
            _control(self.place, self.dock, "cancel", *forwarding)
        with suppress(OSError):
            os.unlink(self.place.socket)
        return _control(self.place, self.dock, "forward", *forwarding)

    def close(self) -> None:
        """End the session and the master."""
        import signal

        close(self.place, self.dock)
        with suppress(OSError):
            os.killpg(self.session.pid, signal.SIGKILL)
        for stream in (self.session.stdin, self.session.stdout):
            assert stream is not None
            with suppress(OSError):  # what was to be said to it
                stream.close()
        self.session.poll()


def close(place: Place, dock: Dock, gently: bool = False) -> None:
    """End the master, if there is one; `gently`: once what goes through it has ended."""
    _control(place, dock, "stop" if gently else "exit")
    for path in (place.control, place.socket):
        with suppress(OSError):
            os.unlink(path)


def open_link(
    client: ssh.Client,
    dock: Dock,
    words: Sequence[str],
    place: Place,
    settings: Settings,
    transport: str = "socket",
    ask: bool = False,
) -> Link:
    """Open the connection, within `client.limit` seconds; a master that is there is used.

    `words` reach the dock, `settings` are its `ssh -G`. With `ask`, ssh may ask for a passphrase or
    a password at the terminal, and there is no limit. Raises LinkError; then nothing is left.
    """
    end = monotonic() + client.limit
    reused = _has_master(place, dock)  # a killed keeper's
    if not reused:
        _start_master(client, words, place, dock, settings, ask)
        end = max(end, monotonic() + 2) if ask else end
    link = Link(place, dock, words, _start_session(client, place, dock), reused)
    try:
        link.facts = _explore(link, settings(), end, client.limit, transport)
    except BaseException:
        link.close()
        raise
    return link


def _has_master(place: Place, dock: Dock) -> bool:
    if not os.path.exists(place.control):
        return False
    if _control(place, dock, "check"):
        return True
    os.unlink(place.control)  # its master was killed
    return False


def _control(place: Place, dock: Dock, command: str, *more: str) -> bool:
    """Tell the master something (ssh(1), -O); false if there is none, or if it cannot."""
    from subprocess import DEVNULL, call

    words = [*place.ssh(), "-O", command, *more, "--", dock.moniker]
    return call(words, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL) == 0


def _start_master(
    client: ssh.Client,
    words: Sequence[str],
    place: Place,
    dock: Dock,
    settings: Settings,
    ask: bool,
) -> None:
    """Start the master. It goes into the background by itself once it is connected."""
    open(place.log, "wb").close()
    own = (
        *("ControlMaster=yes", f"ControlPath={place.control.replace('%', '%%')}"),
        *(f"ControlPersist={LINGER}", "StreamLocalBindUnlink=yes"),
        *ALIVE,
        *(("BatchMode=no",) if ask else ()),
        f"ConnectTimeout={client.limit}",
    )
    flags = [word for option in (*own, *ssh.OPTIONS) for word in ("-o", option)]
    argv = [client.ssh, "-N", "-f", "-E", place.log, *flags, *words]
    status = client.running.wait(client.ctx, argv, None if ask else client.limit)
    if status != 0:
        with open(place.log, encoding="utf-8", errors="surrogateescape") as stream:
            done = ssh.Done(status, "", stream.read())
        raise LinkError(problems.diagnose(done, dock.moniker, settings(), client.limit))


def _start_session(client: ssh.Client, place: Place, dock: Dock) -> subprocess.Popen[bytes]:
    import subprocess

    words = [*place.ssh("RequestTTY=no"), "--", dock.moniker, "sh"]
    wrapped = ["sh", "-c", '"$@"; rm -f "$0"', place.alive, client.ssh, *words[1:]]
    return subprocess.Popen(
        wrapped,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=ssh.surroundings(client.ctx),
        start_new_session=True,
    )


# --- what there is at the dock ------------------------------------------------------------------


def _explore(link: Link, facts: Mapping[str, str], end: float, limit: int, transport: str) -> Facts:
    """Find docker there and make it usable here. Raises LinkError."""
    name = link.dock.moniker
    said = link.ask(QUESTIONS, end)
    if said is None:
        late = monotonic() >= end
        raise LinkError(
            problems.too_late(name, limit)
            if late
            else Problem("shell", f"{name} lets nobody run commands", "see what ssh says there")
        )
    prefix = "shellenv-"  # a login shell may have said something, too
    answers = {name[len(prefix) :]: rest for name, rest in said if name.startswith(prefix)}
    socket, version = answers.get("socket", ""), Version("", "")
    if socket and transport == "socket" and link.forward(socket):
        version = Engine(f"unix://{link.place.socket}", max(end - monotonic(), 0.01)).version()
    if version.docker:
        if _numbers(version.api) < _numbers(OLDEST_API):
            raise LinkError(problems.old_api(name, version.docker, version.api, OLDEST_API))
        docker_host = f"unix://{link.place.socket}"
    else:
        version = Version(_by_client(link, answers, facts, end, limit), "")
        socket, docker_host = "", _ssh_url(link, facts)
        with suppress(OSError):
            os.unlink(link.place.socket)
    return Facts(
        moniker=name,
        docker_host=docker_host,
        ip=_address(link.dock, facts),
        docker=version.docker,
        api=version.api,
        socket=socket,
        user=answers.get("user", ""),
        uid=int(answers.get("uid", "0")),
        gid=int(answers.get("gid", "0")),
        home=answers.get("home", ""),
    )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdecimal())


def _by_client(
    link: Link, answers: Mapping[str, str], facts: Mapping[str, str], end: float, limit: int
) -> str:
    """The version that the dock's own docker client tells; where that works, and the socket did
    not, forwarding is forbidden. Raises LinkError."""
    name = link.dock.moniker
    user = {"user": answers.get("user", ""), **facts}
    if "client" not in answers and "socket" in answers:
        raise LinkError(problems.silent(name, answers["socket"]))
    if "client" not in answers and "denied" not in answers:
        raise LinkError(problems.diagnose(ssh.Done(127, "", ""), name, user, limit))
    said = link.ask(VERSION, end)
    if said is None:
        raise LinkError(problems.too_late(name, limit))
    status = int(said[-1][1])
    text = "\n".join(" ".join(words) for words in said[:-1])
    if status == 0 and text.strip():
        return text.split()[-1]
    if "denied" in answers and "socket" not in answers:
        text = f"permission denied: docker's socket {answers['denied']}"
    raise LinkError(problems.diagnose(ssh.Done(status, "", text), name, user, limit))


def _ssh_url(link: Link, facts: Mapping[str, str]) -> str:
    """The dock as docker's own ssh transport wants it; it reads the user's ssh configuration."""
    dock = link.dock
    if [dock.moniker] == list(link.words):
        return f"ssh://{dock.moniker}"
    host = f"[{dock.host}]" if ":" in dock.host else dock.host
    user = dock.user or facts.get("user", "")
    return f"ssh://{user + '@' if user else ''}{host}{f':{dock.port}' if dock.port else ''}"


def _address(dock: Dock, facts: Mapping[str, str]) -> str:
    """The dock's address if this machine can tell, else its name."""
    import socket

    host = facts.get("hostname", dock.host)
    if facts.get("proxyjump", "none") != "none":  # the name may mean something there only
        return host
    try:
        return str(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0])
    except OSError:
        return host
