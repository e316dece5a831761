"""Asking a machine something by OpenSSH: with the user's own configuration, and its key verified.

OpenSSH's programs do all of it: `ssh -G` says what the configuration comes to, `ssh` connects
(through ProxyJump, with agents and security keys), `ssh-keygen` prints fingerprints and hashes
names. They are the ones whose opinion counts later, and no library reads `Match exec`, `Include`
or `KnownHostsCommand` exactly as they do.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from shellenv import docks, sshconfig
from shellenv.context import Context
from shellenv.docks import Dock
from shellenv.errors import ShellenvError
from shellenv.problems import DOCKER_PROBLEMS, DROPPED, Done, Problem, diagnose

if TYPE_CHECKING:
    import subprocess

OPTIONS = (
    # Nobody is there to answer, and nothing may be left behind
    *("BatchMode=yes", "RequestTTY=no", "RemoteCommand=none", "PermitLocalCommand=no"),
    *("ControlMaster=no", "ControlPath=none", "ClearAllForwardings=yes"),
    *("ForwardAgent=no", "ForwardX11=no", "UpdateHostKeys=no", "ConnectionAttempts=1"),
    # The host's key is verified, whatever the configuration says, and by its name alone
    *("StrictHostKeyChecking=yes", "NoHostAuthenticationForLocalhost=no", "CheckHostIP=no"),
    # Errors are what is read from stderr; banners are not
    "LogLevel=ERROR",
)
"""How ssh is called for a question; what stands on its command line wins over its files."""

VERSION = "docker version --format '{{.Server.Version}}'"
"""The question, in words that every login shell reads alike."""


class Answer(NamedTuple):
    """What came of asking for docker's version. `reachable`: the user can log in there."""

    reachable: bool
    docker: str = ""
    problem: Problem | None = None


# --- running OpenSSH ----------------------------------------------------------------------------


def program(ctx: Context, name: str = "ssh") -> str:
    """The path of one of OpenSSH's programs. Raises ShellenvError if it is not in PATH."""
    import shutil

    path = shutil.which(name, path=ctx.surroundings.get("PATH", os.defpath))
    if path is None:
        raise ShellenvError(f"{name} is not in PATH", "install OpenSSH's client")
    return path


class Running:
    """The programs that were started and have not ended, so that all can be ended at once."""

    def __init__(self) -> None:
        self.children: set[subprocess.Popen[bytes]] = set()

    def run(self, ctx: Context, argv: Sequence[str], limit: float) -> Done:
        """Run a program to its end, for at most `limit` seconds."""
        return self.finish(self.start(ctx, argv), limit)

    def start(self, ctx: Context, argv: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start a program that is to be finished.

        It has no terminal, nor has what it starts (a jump's ssh): none can ask the user something.
        """
        from shellenv.processes import subprocess

        # OpenSSH does not translate, but the C library's reasons ("Connection refused") it would
        env = {**ctx.surroundings, "LC_ALL": "C", "SSH_ASKPASS_REQUIRE": "never"}
        child = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=env,
            start_new_session=True,
        )
        self.children.add(child)
        return child

    def finish(self, child: subprocess.Popen[bytes], limit: float) -> Done:
        """Wait for the end of what was started, for at most `limit` seconds."""
        from shellenv.processes import subprocess

        try:
            out, err = child.communicate(timeout=max(limit, 0.01))
            status: int | None = child.returncode
        except subprocess.TimeoutExpired:
            self._end(child)
            out, err = child.communicate()
            status = None
        except BaseException:
            self._end(child)
            child.wait()
            raise
        finally:
            self.children.discard(child)
        return Done(status, os.fsdecode(out), os.fsdecode(err))

    def wait(self, ctx: Context, argv: Sequence[str], limit: float | None) -> int | None:
        """Run a program that goes into the background, until it has; its status, None if that took
        longer than `limit` seconds.

        Without a limit it may ask at the terminal. With one, it is in a session of its own, so that
        no later Ctrl-C reaches it or what it has started for a jump.
        """
        import sys

        from shellenv.processes import subprocess

        told = sys.stderr is not None and sys.stderr.isatty()  # to touch a security key, for one
        child = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=None if told else subprocess.DEVNULL,
            env={**ctx.surroundings, "LC_ALL": "C"},
            start_new_session=limit is not None,
        )
        if limit is not None:
            self.children.add(child)
        try:
            return child.wait(limit)
        except subprocess.TimeoutExpired:
            return None
        finally:
            if child.poll() is None:
                self._end(child) if limit is not None else child.terminate()
                child.wait()
            self.children.discard(child)

    def end(self) -> None:
        """End all of them, and what they started."""
        for child in tuple(self.children):
            self._end(child)

    def _end(self, child: subprocess.Popen[bytes]) -> None:
        import signal

        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)


class Client(NamedTuple):
    """How this user's ssh is called. `limit` is the time, in seconds, that an answer may take."""

    ctx: Context
    ssh: str
    limit: int
    running: Running

    @classmethod
    def create(cls, ctx: Context, limit: int) -> Client:
        """Raises ShellenvError if there is no ssh."""
        return cls(ctx, program(ctx), limit, Running())

    def call(self, words: Sequence[str], command: str, limit: float, *options: str) -> Done:
        """Run `command` at the machine that `words` name (ssh's own last words)."""
        chosen = (*options, *OPTIONS, f"ConnectTimeout={self.limit}")
        flags = [word for option in chosen for word in ("-o", option)]
        return self.running.run(self.ctx, [self.ssh, *flags, *words, command], limit)

    def settings(self, words: Sequence[str]) -> dict[str, str]:
        """What the user's ssh configuration comes to, by `ssh -G`; names in lower case.

        Raises ShellenvError if ssh cannot read it.
        """
        return self.settings_soon(words)()

    def settings_soon(self, words: Sequence[str]) -> Callable[[], dict[str, str]]:
        """The same, as a function that waits for it: meanwhile there is something else to do."""
        child = self.running.start(self.ctx, [self.ssh, "-T", "-G", *words])

        @functools.cache
        def settings() -> dict[str, str]:
            return self._settings(self.running.finish(child, self.limit), words)

        return settings

    def _settings(self, done: Done, words: Sequence[str]) -> dict[str, str]:
        if done.status != 0:
            raise diagnose(done, words[-1], {}, self.limit).error()
        found: dict[str, str] = {}
        for line in done.stdout.splitlines():
            name, _, value = line.partition(" ")
            found.setdefault(name, value)
        return found

    def ask(self, words: Sequence[str], name: str, settings: Mapping[str, str]) -> Answer:
        """Ask a dock for its docker's version. Never raises for what the dock does."""
        from time import monotonic

        end = monotonic() + self.limit
        done = self.call(words, VERSION, self.limit)
        if done.status == 255 and DROPPED.search(done.stderr):  # too many at once, at a jump
            done = self.call(words, VERSION, end - monotonic())
        if done.status == 0 and done.stdout.strip():
            return Answer(True, done.stdout.split()[-1])
        problem = diagnose(done, name, settings, self.limit)
        return Answer(problem.kind in DOCKER_PROBLEMS, "", problem)


def home() -> str:
    """The home directory that ssh uses: the password database's, never `$HOME` (ssh(1), FILES).

    Raises ShellenvError for a user who is not in it.
    """
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_dir.rstrip("/") or "/"
    except KeyError:
        raise ShellenvError(
            f"the password database has no user {os.geteuid()}", "ssh needs an entry there"
        ) from None


def connect_timeout(ctx: Context) -> int:
    """`[shellenv.ssh] connect_timeout`, in seconds. Raises ConfigError for an unusable file."""
    return int(_own_setting(ctx, "connect_timeout"))


def transport(ctx: Context) -> str:
    """`[shellenv.ssh] transport`: socket or ssh. Raises ConfigError for an unusable file."""
    return _own_setting(ctx, "transport")


def _own_setting(ctx: Context, name: str) -> str:
    """A setting that only the machine's and the user's files can make."""
    from shellenv import config, paths

    layers = []
    for path in (paths.system_file(ctx), paths.user_file(ctx)):
        content = config.read_bytes(path) if path else None
        if path and content is not None:
            layers.append(config.read_layer(path, None, content))
    entry = config.merge(layers).get("shellenv.ssh", name)
    assert entry is not None  # the table has a default
    return entry.value


def words(ctx: Context, dock: Dock, included: bool | None = None) -> list[str]:
    """The words behind `ssh` that reach a dock: its moniker, where plain ssh knows that.

    `included` is what `includes` said, if it was asked already.
    """
    if included is None:
        included = includes(ctx)
    if included and dock.source == docks.own_file(ctx):
        return [dock.moniker]
    found = ["-o", "StrictHostKeyChecking=ask"]
    if dock.identity:
        found += ["-i", dock.identity, "-o", "IdentitiesOnly=yes"]
    if dock.port:
        found += ["-p", str(dock.port)]
    if dock.user:
        found += ["-l", dock.user]
    return [*found, dock.host]


def includes(ctx: Context) -> bool:
    """Does the user's ssh configuration include the file of our docks?"""
    config = sshconfig.read(f"{home()}/.ssh/config")
    return sshconfig.has_include(config, docks.own_file(ctx), home())
