"""Asking a machine something by OpenSSH: with the user's own configuration, and its key verified.

OpenSSH's programs do all of it: `ssh -G` says what the configuration comes to, `ssh` connects
(through ProxyJump, with agents and security keys), `ssh-keygen` prints fingerprints and hashes
names. They are the ones whose opinion counts later, and no library reads `Match exec`, `Include`
or `KnownHostsCommand` exactly as they do.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from shellenv.context import Context
from shellenv.docks import Dock
from shellenv.errors import ShellenvError

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

KEY_TYPES = (
    "",
    "ssh-ed25519",
    "ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521",
    "rsa-sha2-512,rsa-sha2-256",
)
"""What to ask for until a machine shows the key that is looked for; first, what ssh prefers."""


class Problem(NamedTuple):
    """Why a machine does not answer. `kind` is for programs; the rest is as in ShellenvError."""

    kind: str
    message: str
    hint: str

    def error(self) -> ShellenvError:
        return ShellenvError(self.message, self.hint)


class Answer(NamedTuple):
    """What came of asking for docker's version. `reachable`: the user can log in there."""

    reachable: bool
    docker: str = ""
    problem: Problem | None = None


class HostKey(NamedTuple):
    """A key that a machine has shown: its line for a known_hosts file, and how people see it."""

    line: str
    kind: str
    fingerprint: str


class Done(NamedTuple):
    """What a program left; `status` is None if it had to be ended because its time was over."""

    status: int | None
    stdout: str
    stderr: str


# --- running OpenSSH ----------------------------------------------------------------------------


def program(ctx: Context, name: str = "ssh") -> str:
    """The path of one of OpenSSH's programs. Raises ShellenvError if it is not in PATH."""
    import shutil

    path = shutil.which(name, path=surroundings(ctx).get("PATH", os.defpath))
    if path is None:
        raise ShellenvError(f"{name} is not in PATH", "install OpenSSH's client")
    return path


def surroundings(ctx: Context) -> Mapping[str, str]:
    """The environment for programs that the user could have typed: the shell's, as it is."""
    return ctx.shell_env or ctx.env


class Running:
    """The programs that were started and have not ended, so that all can be ended at once."""

    def __init__(self) -> None:
        self.children: set[subprocess.Popen[bytes]] = set()

    def run(self, ctx: Context, argv: Sequence[str], limit: float) -> Done:
        """Run a program to its end, for at most `limit` seconds.

        It has no terminal, nor has what it starts (a jump's ssh): none can ask the user something.
        """
        import subprocess

        # OpenSSH does not translate, but the C library's reasons ("Connection refused") it would
        env = {**surroundings(ctx), "LC_ALL": "C", "SSH_ASKPASS_REQUIRE": "never"}
        child = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=env,
            start_new_session=True,
        )
        self.children.add(child)
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
        done = self.running.run(self.ctx, [self.ssh, "-T", "-G", *words], self.limit)
        if done.status != 0:
            raise diagnose(done, words[-1], {}, self.limit).error()
        found: dict[str, str] = {}
        for line in done.stdout.splitlines():
            name, _, value = line.partition(" ")
            found.setdefault(name, value)
        return found

    def ask(self, words: Sequence[str], name: str, facts: Mapping[str, str]) -> Answer:
        """Ask a dock for its docker's version. Never raises for what the dock does."""
        from time import monotonic

        end = monotonic() + self.limit
        done = self.call(words, VERSION, self.limit)
        if done.status == 255 and _DROPPED.search(done.stderr):  # too many at once, at a jump
            done = self.call(words, VERSION, end - monotonic())
        if done.status == 0 and done.stdout.strip():
            return Answer(True, done.stdout.split()[-1])
        problem = diagnose(done, name, facts, self.limit)
        return Answer(problem.kind in DOCKER_PROBLEMS, "", problem)

    def offered_key(self, words: Sequence[str], name: str, wanted: str = "") -> HostKey:
        """The key that a machine shows, without logging in there; nothing is written down.

        With `wanted`, a fingerprint, its other keys are looked at until one has it; if none has,
        the first is returned. Raises ShellenvError if it shows none.
        """
        import tempfile

        first: HostKey | None = None
        for types in KEY_TYPES if wanted else KEY_TYPES[:1]:
            with tempfile.TemporaryDirectory(prefix="shellenv-") as directory:
                key = self._shown_key(words, name, types, f"{directory}/known")
            first = first or key
            if key and key.fingerprint == wanted:
                return key
        assert first is not None  # else _shown_key raised at the first type
        return first

    def _shown_key(self, words: Sequence[str], name: str, types: str, file: str) -> HostKey | None:
        """The key of these types (all: ""); None if the machine has none of them."""
        done = self.call(
            words,
            "exit",
            self.limit,
            *("PreferredAuthentications=none", "StrictHostKeyChecking=accept-new"),
            *("GlobalKnownHostsFile=/dev/null", "HashKnownHosts=no", "VerifyHostKeyDNS=no"),
            'UserKnownHostsFile="{}"'.format(file.replace("%", "%%")),
            *([f"HostKeyAlgorithms={types}"] if types else []),
        )
        try:
            with open(file, encoding="utf-8", errors="surrogateescape") as stream:
                line = stream.readline().rstrip("\n")
        except FileNotFoundError:
            if types:
                return None
            raise diagnose(done, name, {}, self.limit).error() from None
        printed = self._keygen("-l", "-f", file)
        fingerprint = printed.split()[1]
        return HostKey(line, printed.rpartition("(")[2].rstrip(")\n"), fingerprint)

    def remember(self, key: HostKey, facts: Mapping[str, str], name: str) -> str:
        """Add a key to the user's known hosts as ssh would; returns the file.

        Raises ShellenvError if the configuration keeps no known hosts, or if the file cannot be
        written.
        """
        file = known_hosts(facts)
        if file is None:
            raise ShellenvError(
                f"your ssh configuration forgets the host keys of {name}, so none can be verified",
                f"take UserKnownHostsFile {facts.get('userknownhostsfile', '')} out of it",
            )
        line = self._hashed(key.line) if facts.get("hashknownhosts") == "yes" else key.line
        try:
            os.makedirs(os.path.dirname(file), mode=0o700, exist_ok=True)
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            with open(os.open(file, flags, 0o600), "r+b") as stream:
                size = stream.seek(0, os.SEEK_END)
                whole = not size or (stream.seek(size - 1), stream.read(1))[1] == b"\n"
                stream.write(os.fsencode(f"{'' if whole else chr(10)}{line}\n"))
        except OSError as error:
            raise ShellenvError(
                f"cannot write {file}: {error.strerror}", "the key was not accepted"
            ) from error
        return file

    def _hashed(self, line: str) -> str:
        import tempfile

        with tempfile.TemporaryDirectory(prefix="shellenv-") as directory:
            file = f"{directory}/known"
            with open(file, "w", encoding="utf-8", errors="surrogateescape") as stream:
                stream.write(f"{line}\n")
            self._keygen("-H", "-f", file)
            with open(file, encoding="utf-8", errors="surrogateescape") as stream:
                return stream.readline().rstrip("\n")

    def _keygen(self, *args: str) -> str:
        done = self.running.run(self.ctx, [program(self.ctx, "ssh-keygen"), *args], 10)
        if done.status != 0:
            raise ShellenvError(f"ssh-keygen failed: {_last(done.stderr)}", "")
        return done.stdout


def known_hosts(facts: Mapping[str, str]) -> str | None:
    """The file to which ssh adds host keys; None if it is one that keeps nothing."""
    # `ssh -G` prints paths without quotes, all absolute or from `~`
    first = re.split(r" (?=[/~])", facts.get("userknownhostsfile", ""))[0]
    if first in ("", "none", "/dev/null"):
        return None
    return f"{home()}{first[1:]}" if first.startswith("~/") else first


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
    from shellenv import config, paths

    layers = []
    for path in (paths.system_file(ctx), paths.user_file(ctx)):
        content = config.read_bytes(path) if path else None
        if path and content is not None:
            layers.append(config.read_layer(path, None, content))
    entry = config.merge(layers).get("shellenv.ssh", "connect_timeout")
    assert entry is not None  # the table has a default
    return int(entry.value)


def words(dock: Dock) -> list[str]:
    """The words behind `ssh` that reach a dock whose moniker ssh does not know."""
    found = ["-o", "StrictHostKeyChecking=ask"]
    if dock.identity:
        found += ["-i", dock.identity, "-o", "IdentitiesOnly=yes"]
    if dock.port:
        found += ["-p", str(dock.port)]
    if dock.user:
        found += ["-l", dock.user]
    return [*found, dock.host]


# --- what went wrong ----------------------------------------------------------------------------

DOCKER_PROBLEMS = ("no docker", "daemon down", "not in group", "docker")
"""Kinds of problems of machines that let the user in."""

_DROPPED = re.compile(r"kex_exchange_identification: .*(?:closed|reset)", re.IGNORECASE)

_UNKNOWN = re.compile(r"No (?P<type>\S+) host key is known for (?P<host>\S+) and you have")
_CHANGED = re.compile(r"Host key for (?P<host>\S+) has changed and you have")
_OFFENDING = re.compile(r"Offending (?P<type>\S+) key in (?P<file>.+):(?P<line>\d+)")
_REVOKED = re.compile(r"REVOKED HOST KEY|host key .* (?:is|was) revoked", re.IGNORECASE)
_SHOWN = re.compile(r"\bSHA256:[A-Za-z0-9+/]{43}")
_DENIED = re.compile(r"(?P<who>\S+): Permission denied \((?P<methods>[^)]*)\)")
_FORWARD = re.compile(r"channel \d+: open failed: (?:connect failed: )?(?P<why>.*)")
_CONNECT = re.compile(r"connect to host (?P<host>\S+) port (?P<port>\d+): (?P<why>.*)")


def diagnose(done: Done, name: str, facts: Mapping[str, str], limit: int) -> Problem:
    """What a failed question means, by ssh's exit status and words. Pure.

    `name` is the dock's, `facts` are its `ssh -G`; ssh's status is 255 for its own failures, else
    the remote command's (ssh(1), EXIT STATUS).
    """
    if done.status is None:
        return _too_late(name, limit)
    if done.status == 255:
        return _ssh_problem(done.stderr, name, facts, limit)
    return _docker_problem(done, name, facts)


def _ssh_problem(text: str, name: str, facts: Mapping[str, str], limit: int) -> Problem:
    if changed := _CHANGED.search(text):
        return _changed(text, changed["host"])
    if _REVOKED.search(text):
        return Problem(
            "revoked key",
            f"the host key that {name} shows has been revoked by your known hosts",
            "do not connect; ask whoever runs the machine",
        )
    if unknown := _UNKNOWN.search(text):
        return Problem(
            "unknown key",
            f"the host key of {name} is not known ({unknown['type']} key of {unknown['host']})",
            f"shellenv register-dock {name} shows it and asks",
        )
    if "Host key verification failed" in text:
        jump = facts.get("proxyjump", "")
        return Problem(
            "jump key",
            f"the host key of a machine on the way to {name} is not known or has changed",
            f"log in there once and check it: ssh {jump}" if jump else f"see what ssh {name} says",
        )
    if denied := _DENIED.search(text):
        return Problem(
            "authentication",
            f"{denied['who']}: authentication failed ({denied['methods']})",
            "is it the right user and key? is the key in the agent (ssh-add)? "
            "ssh-copy-id brings it there; docks cannot be used with a password",
        )
    if "Too many authentication failures" in text:
        return Problem(
            "authentication",
            f"{name}: authentication failed: the agent offered too many keys",
            "name the right one: --identity FILE",
        )
    if "Could not resolve hostname" in text:
        found = re.search(r"Could not resolve hostname (\S+?):? ", text)
        host = found[1].rstrip(":") if found else name
        return Problem("name", f"{host} is not a name that can be found", "is it spelled right?")
    return _connect_problem(text, name, facts, limit)


def _connect_problem(text: str, name: str, facts: Mapping[str, str], limit: int) -> Problem:
    if ("timed out" in text or "Timeout" in text) and not _FORWARD.search(text):
        return _too_late(name, limit)
    if found := _CONNECT.search(text):
        where = f"{found['host']} port {found['port']}"
        if "refused" in found["why"]:
            return Problem(
                "refused", f"{where} refuses connections", "does sshd run there, at this port?"
            )
        return Problem("network", f"{where}: {found['why'].strip()}", "is the network up?")
    if found := _FORWARD.search(text):
        jump = facts.get("proxyjump", "")
        why = found["why"].strip().rstrip(":")
        kind = "refused" if "refused" in why else "network"
        via = f" from {jump}" if jump else " from the machine on the way there"
        return Problem(
            kind, f"{name} cannot be reached{via}: {why}", "is it up, with sshd at this port?"
        )
    if _DROPPED.search(text):
        return Problem(
            "closed",
            f"{name} closed the connection before it said who it is",
            "is it an ssh server? does it have too many connections, or a rule against yours?",
        )
    if "onfiguration option" in text or "terminating" in text:
        return Problem("configuration", f"ssh does not start: {_last(text)}", "mend ~/.ssh/config")
    return Problem("ssh", f"ssh to {name} failed: {_last(text)}", "ssh -v shows more")


def _changed(text: str, host: str) -> Problem:
    offending = _OFFENDING.search(text)
    where = f"{offending['file']} line {offending['line']}" if offending else "your known hosts"
    shown = _SHOWN.search(text)
    import shlex

    remove = ["ssh-keygen", *(["-f", offending["file"]] if offending else []), "-R", host]
    return Problem(
        "changed key",
        f"THE HOST KEY OF {host} HAS CHANGED: it is not the one in {where}. Somebody may be "
        f"listening in, or the machine was set up anew (it now shows {shown[0]})"
        if shown
        else f"THE HOST KEY OF {host} HAS CHANGED: it is not the one in {where}",
        f"only if whoever runs it confirms the new key, remove the old: {shlex.join(remove)}",
    )


def _too_late(name: str, limit: int) -> Problem:
    return Problem(
        "timeout",
        f"{name} did not answer within {limit} s (timed out)",
        "is it switched on, and reachable from here? [shellenv.ssh] connect_timeout sets the time",
    )


def _docker_problem(done: Done, name: str, facts: Mapping[str, str]) -> Problem:
    text = done.stderr.lower()
    user = facts.get("user", "")
    if "permission denied" in text and "dock" in text:
        who = f"user {user}" if user else "the user"
        return Problem(
            "not in group",
            f"{who} at {name} may not use docker there (not in the group docker)",
            f"at the dock: sudo usermod -aG docker {user or 'USER'}",
        )
    if "cannot connect to the docker daemon" in text or "is the docker daemon running" in text:
        return Problem(
            "daemon down",
            f"the docker daemon at {name} does not run",
            "at the dock: sudo systemctl start docker",
        )
    if done.status in (126, 127) or "not found" in text:
        return Problem(
            "no docker",
            f"there is no docker at {name}, or it is not in PATH there",
            "install Docker Engine there",
        )
    return Problem(
        "docker",
        f"`docker version` failed at {name} with status {done.status}: "
        f"{_last(done.stderr or done.stdout)}",
        "log in there and try it",
    )


def _last(text: str) -> str:
    lines: Iterable[str] = (line.strip() for line in reversed(text.splitlines()))
    return next((line for line in lines if line), "it said nothing")
