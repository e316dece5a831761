"""Real ssh servers on loopback addresses, and a throw-away unix user who connects to them.

OpenSSH takes the home directory from the password database and not from `$HOME`, so a test of
ssh's files needs a user of its own. Only root can make one.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pexpect
from harness import TIMEOUT, Result, run, write

from shellenv.cli import VERBS

SOURCE = Path(__file__).resolve().parent.parent
DOCKER = "#!/bin/sh\necho 27.3.1\n"
"""What stands in for docker's client at a dock: it answers the one question that is asked here.
There is no docker engine; ssh, sshd and everything between are real."""


def python_for_others() -> str | None:
    """A Python that users besides root can run; a pyenv's below /root is none."""
    for candidate in (os.path.realpath(sys.executable), "/usr/bin/python3"):
        code = "import sys; sys.exit(sys.version_info < (3, 10))"
        # by way of sh: setpriv itself may still look into root's directories
        argv = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        argv += ["sh", "-c", 'exec "$0" "$@"', candidate, "-c", code]
        if subprocess.run(argv, capture_output=True, check=False, cwd="/").returncode == 0:
            return candidate
    return None


class User:
    """A unix user with a home directory, this checkout's shellenv, and a key for the servers."""

    def __init__(self, base: Path, name: str, python: str) -> None:
        self.base, self.name, self.home = base, name, base / "home"
        self.home.mkdir()
        command = ["useradd", "-M", "-d", str(self.home), "-s", "/bin/sh", "-p", "*", name]
        _with_password_file(command)
        self.uid = int(subprocess.check_output(["id", "-u", name]))
        self.gid = int(subprocess.check_output(["id", "-g", name]))
        self._install(python)
        subprocess.run(["ssh-keygen", "-qN", "", "-t", "ed25519", "-f", base / "key"], check=True)
        shutil.copy(base / "key.pub", base / "authorized_keys")

    def _install(self, python: str) -> None:
        library = self.base / "lib"
        shutil.copytree(SOURCE / "shellenv", library / "shellenv")
        for name in ("shell", "templates"):
            shutil.copytree(SOURCE / name, library / "shellenv" / name)
        self.bring("jinja2", "markupsafe", "dotenv")
        core = (
            f"#!{python}\nimport sys\nsys.path.insert(0, {str(self.base / 'lib')!r})\n"
            "from shellenv.start import program\nprogram()\n"
        )
        write(self.base / "bin" / "shellenv-core", core).chmod(0o755)
        for name in ("shellenv", *(name for name, verb in VERBS.items() if verb.bare)):
            shutil.copy(SOURCE / "shell" / "shellenv.sh", self.base / "bin" / name)
        for name in ("dock", "castoff"):
            shutil.copy(SOURCE / "shell" / "source-dock.sh", self.base / "bin" / name)

    def bring(self, *modules: str) -> None:
        """Let this user's shellenv have these modules: where root's Python has them, nobody else may
        look."""
        for name in modules:
            found = find_spec(name)
            assert found is not None
            assert found.origin is not None
            origin, library = Path(found.origin), self.base / "lib"
            if origin.name == "__init__.py":
                shutil.copytree(origin.parent, library / name)
            else:
                shutil.copy(origin, library)

    def remove(self) -> None:
        """Remove the user, once the servers' processes that serve it have noticed the end."""
        end = time.monotonic() + TIMEOUT
        while subprocess.run(["pgrep", "-u", self.name], stdout=subprocess.DEVNULL).returncode == 0:
            assert time.monotonic() < end, "processes of the user do not end"
            time.sleep(0.05)
        _with_password_file(["userdel", self.name])

    def move_in(self) -> None:
        """Make the home directory as it is before each test: a key, patience, a docker."""
        shutil.rmtree(self.home)
        write(self.home / "remote" / "docker", DOCKER).chmod(0o755)
        write(self.home / ".ssh" / "id_ed25519", (self.base / "key").read_bytes()).chmod(0o600)
        (self.home / ".ssh").chmod(0o700)
        self.groups: tuple[str, ...] = ()
        self.patience(60)
        self.env = {
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "PATH": f"{self.base / 'bin'}:/usr/bin:/bin",
            "TERM": "dumb",
            "USER": self.name,
        }

    def use_engine(self) -> None:
        """Until the test ends, what runs as this user may use the local Docker Engine."""
        self.groups = ("docker",)

    def patience(self, seconds: int) -> None:
        write(self.config / "dockerutils.cfg", f"[shellenv.ssh]\nconnect_timeout = {seconds}\n")
        self.own(self.home)

    def own(self, path: Path) -> None:
        subprocess.run(["chown", "-R", f"{self.uid}:{self.gid}", path], check=True)

    @property
    def config(self) -> Path:
        return self.home / ".config" / "shellenv"

    @property
    def ssh_config(self) -> Path:
        return self.home / ".ssh" / "config"

    @property
    def known_hosts(self) -> Path:
        return self.home / ".ssh" / "known_hosts"

    def write(self, name: str, content: str | bytes, mode: int = 0o644) -> Path:
        """Write a file below the home directory, as this user."""
        path = write(self.home / name, content)
        path.chmod(mode)
        self.own(path.parent)
        return path

    def argv(self, *words: str | Path) -> list[str]:
        groups = f"--groups={','.join(self.groups)}" if self.groups else "--clear-groups"
        ids = [f"--reuid={self.uid}", f"--regid={self.gid}", groups]
        return [shutil.which("setpriv") or "setpriv", *ids, "--", *map(str, words)]

    def run(self, *words: str | Path, stdin: str = "") -> Result:
        """Run a program as this user, without a terminal anywhere."""
        return run(
            [shutil.which("setsid") or "setsid", "-w", *self.argv(*words)],
            self.env,
            self.home,
            stdin,
        )

    @contextmanager
    def terminal(self, *words: str | Path) -> Iterator[pexpect.spawn[str]]:
        """A program of this user's at a terminal of its own."""
        program, *args = self.argv(*words)
        child = pexpect.spawn(
            program, args, env=self.env, cwd=str(self.home), encoding="utf-8", timeout=TIMEOUT
        )
        try:
            yield child
        finally:
            child.close(force=True)

    def files(self) -> dict[str, tuple[int, bytes | str]]:
        """Everything in the home directory that registering could touch: mode and content."""
        found: dict[str, tuple[int, bytes | str]] = {}
        for path in [self.home / ".ssh", *sorted(self.home.rglob("*"))]:
            content = os.readlink(path) if path.is_symlink() else ""
            if path.is_file() and not path.is_symlink():
                found[str(path)] = (path.stat().st_mode, path.read_bytes())
            elif path.suffix != ".lock":
                found[str(path)] = (path.lstat().st_mode, content)
        return {name: value for name, value in found.items() if not name.endswith(".lock")}


def _with_password_file(command: list[str]) -> None:
    """Run useradd or userdel, which fail where another is at it, one at a time."""
    with open("/tmp/.shellenv-tests-users.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run(command, check=True, capture_output=True)


class Server:
    """An sshd with host keys of its own on a loopback address."""

    def __init__(
        self,
        base: Path,
        user: User,
        address: str,
        kinds: tuple[str, ...] = ("ed25519",),
        programs: str = "",
    ):
        """`programs` are directories for its PATH, behind the one that has the docker."""
        base.mkdir()
        self.base, self.address, self.port = base, address, free_port(address)
        self.log = base / "log"
        for kind in kinds:
            key = self._key(kind)
            subprocess.run(["ssh-keygen", "-qN", "", "-t", kind, "-f", key], check=True)
        config = [
            *(f"HostKey {self._key(kind)}" for kind in kinds),
            f"ListenAddress {self.target}",
            f"AllowUsers {user.name}",
            f"AuthorizedKeysFile {user.base / 'authorized_keys'}",
            f"SetEnv PATH={user.home / 'remote'}{programs}",
            *("PidFile none", "StrictModes no", "UsePAM no", "UseDNS no", "LogLevel DEBUG1"),
            *("PasswordAuthentication no", "KbdInteractiveAuthentication no", "MaxStartups 100"),
        ]
        write(base / "config", "\n".join(config) + "\n")
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        sshd = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin") or "sshd"
        self.process = subprocess.Popen([sshd, "-D", "-f", base / "config", "-E", self.log])
        self._wait()

    def _key(self, kind: str) -> Path:
        return self.base / f"host_{kind}"

    def _wait(self) -> None:
        end = time.monotonic() + TIMEOUT
        while True:
            try:
                with socket.create_connection((self.address, self.port), timeout=5) as connection:
                    if connection.recv(4) == b"SSH-":
                        return
            except OSError:
                pass
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < end, "sshd does not answer"
            time.sleep(0.02)

    @property
    def target(self) -> str:
        """HOST:port as register-dock takes it."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{host}:{self.port}"

    def fingerprint(self, kind: str = "ed25519") -> str:
        argv = ["ssh-keygen", "-lf", f"{self._key(kind)}.pub"]
        return subprocess.check_output(argv, text=True).split()[1]

    def known_line(self, name: str | None = None, kind: str = "ed25519") -> str:
        """Its line for known_hosts."""
        key = Path(f"{self._key(kind)}.pub").read_text().split()[:2]
        return f"{name or f'[{self.address}]:{self.port}'} {' '.join(key)}\n"

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


def free_port(address: str) -> int:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as probe:
        probe.bind((address, 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def refusing() -> Iterator[str]:
    """HOST:port where nobody listens, and nobody else can meanwhile."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


@contextmanager
def frozen() -> Iterator[str]:
    """HOST:port that takes connections and never says a word."""
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen(16)
        yield f"127.0.0.1:{mute.getsockname()[1]}"


def has_ipv6() -> bool:
    try:
        free_port("::1")
    except OSError:
        return False
    return True


def hint_command(result: Result) -> str:
    """The command that an error's last line recommends."""
    found = re.search(r"(?:shellenv|ssh-keygen) .*$", result.stderr.rstrip("\n"))
    assert found, result
    return found[0]
