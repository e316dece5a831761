"""The one connection to a dock: the files that stand for it, and who uses it.

Each dock that shells are docked to has a directory of its own (0700, see `paths.runtime_dir`):

    dock         how to reach the dock, as JSON
    control      the control socket of the OpenSSH master that carries everything (ssh(1), -S)
    docker.sock  the dock's docker socket, forwarded; $DOCKER_HOST of docked shells names it
    facts        what is known of the dock, as JSON; it is there while the connection is up
    problem      why it is not up, in a line, while it is not
    shells/PID   an empty file for each docked shell; castoff writes `gone` into its own
    alive        there as long as there is a keeper (see `keeper`): what prompts look at
    keeper       its process; locked as long as `alive` is there
    turn         locked while somebody opens or closes the connection
    log          what ssh has said last

The names depend on the dock alone, so that a shell whose connection was away finds the next one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple

from shellenv import files, paths, state
from shellenv.context import Context
from shellenv.docks import Dock
from shellenv.errors import ShellenvError

LONGEST = 104 - 18
"""Bytes that a control socket's path may have: `sun_path` has 104 on macOS (108 on Linux), and ssh
binds it under a name that is 17 longer, and ends with a zero."""


class Facts(NamedTuple):
    """What is known of a dock while it is connected.

    `docker_host` is for $DOCKER_HOST, `ip` for $DOCKER_IP; `socket` is the docker socket's path
    there, "" if it could not be forwarded. `user`, `uid`, `gid` and `home` are those of the login.
    """

    moniker: str
    docker_host: str
    ip: str
    docker: str
    api: str
    socket: str
    user: str
    uid: int
    gid: int
    home: str


class Place(NamedTuple):
    """The directory of one dock's connection."""

    directory: str

    @property
    def control(self) -> str:
        return f"{self.directory}/control"

    @property
    def socket(self) -> str:
        return f"{self.directory}/docker.sock"

    @property
    def alive(self) -> str:
        return f"{self.directory}/alive"

    @property
    def keeper(self) -> str:
        return f"{self.directory}/keeper"

    @property
    def log(self) -> str:
        return f"{self.directory}/log"

    def ssh(self, *options: str) -> list[str]:
        """The words, without the host, of an ssh that uses this connection and never makes one of
        its own."""
        never = ("ControlMaster=no", "ProxyCommand=false", "LogLevel=ERROR", *options)
        flags = [word for option in never for word in ("-o", option)]
        return ["ssh", "-F", "none", "-S", self.control, *flags]

    def tell(self, command: str, *more: str) -> bool:
        """Tell the master something (ssh(1), -O); false if there is none, or if it cannot."""
        from shellenv.processes import subprocess

        words = [*self.ssh(), "-O", command, *more, "--", "dock"]  # any name will do
        null = subprocess.DEVNULL
        return subprocess.call(words, stdin=null, stdout=null, stderr=null) == 0


def place(ctx: Context, dock: Dock) -> Place:
    """Where the connection to this dock is, for this user. Nothing is made.

    Raises ShellenvError if a socket there would have too long a name.
    """
    from zlib import adler32, crc32

    identity = os.fsencode("\0".join((*dock[:3], str(dock.port), dock.identity)))
    name = f"{dock.moniker[:12]}-{crc32(identity):08x}{adler32(identity) & 255:02x}"
    found = Place(f"{paths.runtime_dir(ctx)}/{name}")
    if len(os.fsencode(found.control)) > LONGEST:
        raise ShellenvError(
            f"the path of a socket would be too long: {found.control}",
            "set XDG_RUNTIME_DIR to a directory with a shorter name",
        )
    return found


# --- what is known ------------------------------------------------------------------------------


def read(where: Place) -> Facts | None:
    """The facts of a connection that is up, else None."""
    import json

    try:
        values = json.loads(files.read_regular(f"{where.directory}/facts"))
        return Facts(**values)
    except (OSError, ValueError, TypeError):
        return None


def is_kept(where: Place) -> bool:
    """Has the connection a keeper?"""
    lock = files.lock(where.keeper, 0)
    if lock is not None:
        os.close(lock)
    return lock is None


def write(where: Place, facts: Facts | None) -> None:
    """Say that the connection is up, and what is known; or that it is not up. Raises OSError."""
    import json

    if facts is None:
        files.forget(f"{where.directory}/facts")
    else:
        files.forget(f"{where.directory}/problem")
        files.write_private(f"{where.directory}/facts", json.dumps(facts._asdict()).encode())


def explain(where: Place, message: str) -> None:
    """Say why the connection is not up. Never fails: it is a comfort."""
    with suppress(OSError):
        files.write_private(f"{where.directory}/problem", os.fsencode(message))


def problem(where: Place) -> str:
    """Why the connection is not up, as far as that is known."""
    return os.fsdecode(files.content(f"{where.directory}/problem") or b"")


def _remember(where: Place, dock: Dock) -> None:
    import json

    files.write_private(f"{where.directory}/dock", json.dumps(dock._asdict()).encode())


def dock_at(where: Place) -> Dock | None:
    """The dock that a connection is, or was, to."""
    import json

    try:
        return Dock(**json.loads(files.read_regular(f"{where.directory}/dock")))
    except (OSError, ValueError, TypeError):
        return None


def docked(ctx: Context) -> Place | None:
    """The connection that the shell we were called from is docked to; None if it is not."""
    log = state.read_dock(ctx.shell_env)
    return Place(log.root) if log.root.startswith("/") else None


# --- taking turns -------------------------------------------------------------------------------


@contextmanager
def turn(where: Place, seconds: float) -> Iterator[None]:
    """Make the directory, and be the only one who opens or closes this connection.

    Raises ShellenvError if others do for that long, or if the directory cannot be used.
    """
    follow = not where.directory.startswith("/tmp/")
    paths.private_dir(os.path.dirname(where.directory), follow=follow)
    paths.private_dir(where.directory)
    with _writing(where):
        lock = files.lock(f"{where.directory}/turn", seconds)
    if lock is None:
        raise ShellenvError(
            "another shell is connecting to this dock and does not come to an end", "try again"
        )
    try:
        yield
    finally:
        os.close(lock)


@contextmanager
def _writing(where: Place) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ShellenvError(
            f"cannot write into {where.directory}: {error.strerror}",
            "check its permissions and the free space",
        ) from error


# --- who uses it --------------------------------------------------------------------------------


def enlist(where: Place, dock: Dock, pid: int) -> None:
    """Note that the shell `pid` is docked here. Raises ShellenvError if that cannot be written."""
    with _writing(where):
        _remember(where, dock)
        os.makedirs(f"{where.directory}/shells", 0o700, exist_ok=True)
        with open(f"{where.directory}/shells/{pid}", "wb"):
            pass


def dismiss(where: Place, pid: int) -> None:
    """The shell `pid` is not docked here any more. Never fails."""
    with suppress(OSError):
        os.unlink(f"{where.directory}/shells/{pid}")


def shells(where: Place) -> list[int]:
    """The processes that are docked here and still there; forgets the others."""
    try:
        names = os.listdir(f"{where.directory}/shells")
    except OSError:
        return []
    found = []
    for name in names:
        if name.isdecimal():
            if not _has_left(f"{where.directory}/shells/{name}") and is_running(int(name)):
                found.append(int(name))
            else:
                dismiss(where, int(name))
    return sorted(found)


def counts(ctx: Context, docks: Sequence[Dock]) -> list[int]:
    """How many shells are docked to each of `docks`."""
    try:
        present = set(os.listdir(paths.runtime_dir(ctx)))
    except OSError:
        present = set()
    places = (place(ctx, dock) for dock in docks) if present else ()
    found = [
        len(shells(where)) if os.path.basename(where.directory) in present else 0
        for where in places
    ]
    return found or [0] * len(docks)


def _has_left(path: str) -> bool:
    try:
        return os.stat(path).st_size > 0
    except OSError:
        return True


def is_running(pid: int) -> bool:
    """Is there such a process, and not only a zombie that nobody has waited for?"""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    state = _stat(pid)
    return not state or state[0] != b"Z"


def started(pid: int) -> bytes:
    """When a process has started, in the kernel's own units; empty where nobody can tell."""
    state = _stat(pid)
    return state[19] if len(state) > 19 else b""


def _stat(pid: int) -> list[bytes]:
    """The fields of /proc/PID/stat behind the name (proc(5)); macOS has none."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stream:
            return stream.read().rpartition(b")")[2].split()
    except OSError:
        return []
