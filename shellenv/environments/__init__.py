"""Execution environments: where a run happens. One small interface, three implementations.

Each module has `open(scene) -> Environment`, which raises a ShellenvError that says what is
missing and how to get it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from shellenv.cli import say
from shellenv.config import Origin
from shellenv.context import Context
from shellenv.errors import ShellenvError
from shellenv.plan import SECRET, Variable, expand
from shellenv.project import Project
from shellenv.secrets import Secrets
from shellenv.supervisor import End
from shellenv.survey import Survey

NAMES = ("venv", "docker", "remote")


class Request(NamedTuple):
    """What the user asked for. No `command`: a shell.

    `env` are the `-e` in their order, with the value None where only a name was given.
    """

    command: tuple[str, ...] = ()
    image: str = ""
    gpu: bool = False
    env: tuple[tuple[str, str | None], ...] = ()
    ports: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    network: str = ""
    sync: bool = True
    keep: bool = False
    quiet: bool = False
    recreate: bool = False


class Scene(NamedTuple):
    """All that a run depends on."""

    ctx: Context
    found: Survey
    project: Project
    request: Request

    def given(self) -> dict[str, str]:
        """The variables of `-e` that are no secrets; one without a value is the user's own, if that
        is set."""
        own = self.ctx.surroundings
        pairs = ((name, own.get(name) if v is None else v) for name, v in self._last().items())
        secret = {variable.name for variable in self._given_secrets()}
        return {n: value for n, value in pairs if value is not None and n not in secret}

    def planned(self) -> dict[str, str]:
        """The project's own variables as they are here, without secrets."""
        env = dict(self.ctx.env)
        plan = self.found.plan
        for variable in plan.variables if plan else ():
            env[variable.name] = expand(variable.value, env)
        return {v.name: env[v.name] for v in (plan.variables if plan else ())}

    def secrets(self) -> tuple[Variable, ...]:
        """The variables that are secrets: those of `-e`, then the project's that `-e` leaves."""
        own = tuple(self._given_secrets())
        plan = self.found.plan
        taken = {*self.given(), *(variable.name for variable in own)}
        return (*own, *(v for v in (plan.secrets if plan else ()) if v.name not in taken))

    def _last(self) -> dict[str, str | None]:
        return dict(self.request.env)

    def _given_secrets(self) -> Iterator[Variable]:
        for name, value in self._last().items():
            if value is not None and value.startswith(SECRET):
                yield Variable(name, (value,), Origin("-e", 0))

    @property
    def quiet(self) -> bool:
        """Is only to be said what needs the user?"""
        return self.request.quiet or self.found.config.flag("shellenv", "quiet")

    def explain(self, line: str) -> None:
        """Say what is done, or why, to whoever wants to know."""
        if not self.quiet:
            say(line)

    def setting(self, key: str) -> str:
        """What `[shellenv.run]` says; "" if nothing."""
        entry = self.found.config.get("shellenv.run", key)
        return entry.value if entry else ""

    def ports(self) -> tuple[str, ...]:
        """The `-p` of the settings and of the command line."""
        return (*items(self.setting("ports")), *self.request.ports)


def items(value: str) -> list[str]:
    """The entries of a list: separated by commas or line ends."""
    return [item.strip() for item in re.split(r"[,\n]", value) if item.strip()]


class Environment(Protocol):
    """A place where the command of a scene can run."""

    def command_line(self) -> str:
        """The command line that does the like by hand, without secrets."""

    def run(self, secrets: Secrets) -> End:
        """Make ready what is missing, say the command line, run the command, clean up.

        Raises ShellenvError if the command could not be started at all.
        """


def open_named(name: str, scene: Scene) -> Environment:
    """The environment called `name`. Raises ShellenvError if it cannot run this scene."""
    if name not in NAMES:
        raise ShellenvError(
            f"there is no execution environment {name!r}", f"there are {', '.join(NAMES)}", 2
        )
    module = __import__(f"shellenv.environments.{name}", fromlist=["open"])
    environment: Environment = module.open(scene)
    return environment


SECRET_WORDS = ("secret", "token", "password", "passwd", "credential", "private", "apikey")


def is_secret(name: str) -> bool:
    """Is a variable of this name to be kept out of sight?"""
    lower = name.lower()
    return any(word in lower for word in SECRET_WORDS) or lower.split("_")[-1] in ("key", "pass")
