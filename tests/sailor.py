"""Somebody who docks: a throw-away user with real shells, and what they leave behind."""

from __future__ import annotations

import subprocess
from pathlib import Path

from dock import RealDock
from harness import Home, Session, Shell, eventually, write
from servers import User

HOSTNAME = "docker info --format '{{.Name}}'"

LAYERED = """\
[shellenv.env]
DOCKER_HOST = tcp://project-{0}
DOCKER_TLS_VERIFY = 1
STAGE = {0}
[shellenv.path]
prepend = bin
[shellenv.aliases]
t = true {0}
"""


class Sailor:
    """The throw-away user as somebody who docks: what is known to ssh, and what is left behind."""

    def __init__(self, user: User, home: Home) -> None:
        self.user, self.home = user, home

    @property
    def runtime(self) -> Path:
        return Path(self.home.env["XDG_RUNTIME_DIR"])

    def know(self, dock: RealDock, moniker: str = "gpu", target: str = "") -> None:
        """Register a dock (at `target`, a proxy's) and have its key known."""
        known = self.user.known_hosts
        before = known.read_text() if known.exists() else ""
        host, _, port = (target or dock.target).rpartition(":")
        self.user.write(".ssh/known_hosts", before + dock.known_line(f"[{host}]:{port}"))
        result = self.user.run(
            "register-dock", "--offline", f"{dock.user}@{target or dock.target}", moniker
        )
        assert result.status == 0, result

    def shell(self, name: str) -> Shell:
        """A kind of shell, as this user."""
        return Shell(name, self.home, self.user.argv())

    def place(self, moniker: str = "gpu") -> Path:
        """The directory of the connection."""
        (found,) = (self.runtime / "shellenv").glob(f"{moniker}-*")
        return found

    def keeper(self, moniker: str = "gpu") -> int:
        """The keeper's process; 0 for a moment while another one begins."""
        return int((self.place(moniker) / "keeper").read_text() or 0)

    def await_loss(self) -> None:
        """Wait until the loss of the connection is noticed."""
        eventually(lambda: not (self.place() / "facts").exists(), "the loss is noticed")

    def await_return(self) -> None:
        """Wait until the connection is up again."""
        eventually((self.place() / "facts").exists, "it is back")

    def processes(self) -> list[str]:
        """What runs as this user, but for shells at terminals."""
        done = subprocess.run(
            ["ps", "-ww", "-o", "args=", "-u", self.user.name],
            capture_output=True,
            text=True,
            check=False,
        )
        return [line for line in done.stdout.splitlines() if "control" in line]


def layered(sailor: Sailor, name: str) -> Path:
    """A project, allowed, that sets what docks set, too."""
    project = sailor.home.projects / name
    write(project / "dockerutils.cfg", LAYERED.format(project.name))
    sailor.user.own(sailor.home.projects)
    assert sailor.user.run("shellenv", "allow", project).status == 0
    return project


def reaches(session: Session, dock: RealDock) -> bool:
    """Does docker in this session go to that dock?"""
    return session.run(HOSTNAME).strip() == dock.exec("hostname").strip()
