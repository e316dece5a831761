"""Real docks: containers with an sshd and a Docker Engine of their own, on loopback addresses.

`scripts/engine.sh` makes the local engine and the images. Every worker of the test run starts docks
of its own and removes them; those of a run that was killed, the next one removes.
"""

from __future__ import annotations

import functools
import itertools
import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
from servers import SOURCE, free_port

SOCKET = "/var/run/docker.sock"
OWNER = "org.shellenv.tests.owner"
"""The label of a dock: the process that started it."""

# In the order of their bits; the engine knows no later ones. `--privileged` would want them all,
# and a machine need not have all of them to give.
CAPABILITIES = (
    *("CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID"),
    *("SETPCAP", "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW"),
    *("IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT"),
    *("SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD"),
    *("LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG"),
    *("WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ"),
)

_count = itertools.count(1)


class Images(NamedTuple):
    """The images that tests may start: a small Debian with Python, and the dock."""

    base: str
    dock: str


@functools.cache
def _images() -> Images | str:
    """The images, or what is not there."""
    try:
        images = Images(*(SOURCE / ".cache" / "images").read_text().split())
        for image in images:
            engine("image", "inspect", image)
    except (OSError, subprocess.CalledProcessError):
        return "needs a Docker Engine and the images of docks (`make engine` as root on Debian)"
    return images


def require_images() -> Images:
    """The images; without a local engine that has them the test skips."""
    found = _images()
    if isinstance(found, str):
        pytest.skip(found)
    return found


def engine(*words: str) -> str:
    """What docker's client says about the local engine, whatever this shell is docked to."""
    return _output(_local(*words))


def _local(*words: str) -> list[str]:
    return ["docker", "-H", f"unix://{SOCKET}", *words]


def _output(argv: Sequence[str], stdin: str | None = None) -> str:
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode:
        error = subprocess.CalledProcessError(done.returncode, argv, done.stdout, done.stderr)
        error.add_note(done.stdout + done.stderr) if hasattr(error, "add_note") else None
        raise error
    return done.stdout


# --- docks ------------------------------------------------------------------------------------


class RealDock:
    """A running dock that the holder of a key may log in to, as `user`.

    What a test does to it, `reset` undoes, but for the images that its engine has. Methods return
    once what they promise is so; a failure raises CalledProcessError.
    """

    user = "ubuntu"

    def __init__(self, images: Images, public_key: Path) -> None:
        number, pid = next(_count), os.getpid()
        self.address = f"127.{64 + number % 128}.{pid >> 8 & 255}.{pid & 255}"
        self.port = free_port(self.address)
        self.name = f"shellenv-dock-{pid}-{number}"
        self._loaded: set[str] = set()
        bounding = int(_status_of("self")["CapBnd"], 16)
        engine(
            *("run", "-d", "--name", self.name, "--hostname", f"dock{number}"),
            *(
                "--label",
                f"{OWNER}={_identity(pid)}",
                "--env",
                f"AUTHORIZED_KEY={_text(public_key)}",
            ),
            *("-p", f"{self.address}:{self.port}:22", "-v", "/sys/fs/cgroup:/sys/fs/cgroup:rw"),
            *("--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined"),
            *(f"--cap-add={name}" for bit, name in enumerate(CAPABILITIES) if bounding >> bit & 1),
            images.dock,
        )
        self._ask("ready")

    def __enter__(self) -> RealDock:
        return self

    def __exit__(self, *_: object) -> None:
        _remove(self.name)

    def _ask(self, *words: str) -> str:
        return self.exec("dock.sh", *words)

    # --- what it is ---

    @property
    def target(self) -> str:
        """HOST:port as register-dock takes it."""
        return f"{self.address}:{self.port}"

    @property
    def inner_target(self) -> str:
        """HOST:port as another dock sees it, to jump through that one."""
        form = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        return f"{engine('inspect', '-f', form, self.name).strip()}:22"

    def fingerprint(self, kind: str = "ed25519") -> str:
        return self.exec("ssh-keygen", "-lf", f"/etc/ssh/ssh_host_{kind}_key.pub").split()[1]

    def known_line(self, name: str | None = None, kind: str = "ed25519") -> str:
        """Its line for known_hosts; `name` if it is reached by another one, as by a proxy."""
        key = self.exec("cat", f"/etc/ssh/ssh_host_{kind}_key.pub").split()[:2]
        return f"{name or f'[{self.address}]:{self.port}'} {' '.join(key)}\n"

    def exec(self, *argv: str, stdin: str | None = None) -> str:
        """What a program prints that runs there, as root and not by way of ssh."""
        return _output(_local("exec", "-i", self.name, *argv), stdin or "")

    def exec_as_user(self, *argv: str) -> str:
        return _output(
            _local("exec", "-u", self.user, "-w", f"/home/{self.user}", self.name, *argv)
        )

    def docker(self, *words: str) -> str:
        """What docker's client says about the engine of the dock."""
        return self.exec("docker", *words)

    def load(self, image: str) -> None:
        """Bring an image of the local engine to the dock's, unless it was brought before."""
        identity = engine("image", "inspect", "-f", "{{.Id}}", image).strip()
        if f"{image} {identity}" in self._loaded:
            return
        with subprocess.Popen(_local("save", image), stdout=subprocess.PIPE) as save:
            load = _local("exec", "-i", self.name, "docker", "load", "-q")
            subprocess.run(load, stdin=save.stdout, capture_output=True, check=True)
        assert save.returncode == 0
        self._loaded.add(f"{image} {identity}")

    # --- what may happen to it ---

    def stop_sshd(self) -> None:
        """End the server and with it all connections: new ones are closed without a word."""
        self._ask("ssh_down")

    def stop_engine(self) -> None:
        """End dockerd and its containers; its socket goes too."""
        self._ask("engine_down")

    def freeze(self) -> None:
        """Stop everything there without ending it: connections stay and nobody answers."""
        engine("pause", self.name)

    def thaw(self) -> None:
        engine("unpause", self.name)

    def restart(self) -> None:
        """Pull the plug and put it back: same address, host keys, images and settings."""
        engine("restart", "-t", "0", self.name)
        self._ask("ready")

    # --- what kind of machine it may be ---

    def set_sshd(self, *options: str) -> None:
        """Set lines of sshd_config, in place of those set before; all connections end."""
        text = "".join(f"{option}\n" for option in options)
        self.exec("cp", "/dev/stdin", "/etc/ssh/sshd_config.d/.test", stdin=text)
        self._ask("ssh_reload")

    def forbid_forwarding(self) -> None:
        """No forwarding of unix sockets, which leaves docker's own `ssh://`."""
        self.set_sshd("AllowStreamLocalForwarding no")

    def move_socket(self, path: str, told_by: str | None = "environment") -> None:
        """Let the engine listen at `path` alone, until it starts anew.

        A client that the user runs over ssh learns it from DOCKER_HOST (`told_by` "environment"),
        from docker's current context ("context"), or not at all (None).
        """
        self._ask("socket_to", path)
        if told_by == "environment":
            self.set_sshd(f"SetEnv DOCKER_HOST=unix://{path}")
        elif told_by == "context":
            self.exec_as_user(
                "docker", "context", "create", "moved", "--docker", f"host=unix://{path}"
            )
            self.exec_as_user("docker", "context", "use", "moved")

    def leave_group(self) -> None:
        """The user is not in the group docker any more, in new logins."""
        self.exec("gpasswd", "-d", self.user, "docker")
        self._ask("ssh_reload")

    def without_docker(self) -> None:
        """Neither docker's client nor an engine is to be found."""
        self._ask("docker_gone")

    def old_api(self, version: str = "1.21") -> None:
        """In place of the engine something answers whose newest API is `version`."""
        self._ask("old_api", version)

    def reset(self) -> None:
        """Undo what tests did: settings, state, sessions, home directory, all but images."""
        if engine("inspect", "-f", "{{.State.Paused}}", self.name).strip() == "true":
            self.thaw()
        self._ask("reset")


# --- owners -----------------------------------------------------------------------------------


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8").strip()


def _status_of(process: int | str) -> dict[str, str]:
    lines = Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _identity(pid: int) -> str | None:
    """A process, told from a later one with its id by when it began; None if there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    began = stat.rpartition(")")[2].split()[19]  # field 22 of proc(5)
    return f"{pid}-{began}"


def remove_leftovers() -> list[str]:
    """Remove the docks whose owners are dead; their names."""
    form = '{{.Names}} {{.Label "' + OWNER + '"}}'
    rows = engine("ps", "-a", "--filter", f"label={OWNER}", "--format", form).splitlines()
    found = []
    for name, owner in (row.split() for row in rows):
        if _identity(int(owner.partition("-")[0])) != owner:
            _remove(name)
            found.append(name)
    return found


def _remove(name: str) -> None:
    """Remove a dock in whatever state, its disk too; another run may be at it already."""
    for words in (("unpause", name), ("rm", "-fv", name)):
        subprocess.run(_local(*words), capture_output=True, check=False)
    end = time.monotonic() + 60
    while name in engine("ps", "-a", "--format", "{{.Names}}").split():
        assert time.monotonic() < end, f"{name} cannot be removed"
        time.sleep(0.1)
