"""The virtual environment: the command runs here, in the environment of `shellenv exec`."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator

from shellenv import dependencies, paths
from shellenv.cli import say
from shellenv.environment import environment
from shellenv.environments import Request, Scene, is_secret
from shellenv.errors import ShellenvError
from shellenv.hint import by_hand
from shellenv.secrets import Secrets
from shellenv.supervisor import End, supervise

CONTAINER_ONLY = ("image", "gpu", "volumes", "network", "recreate", "keep")


class Venv:
    """A run in a virtual environment: the one that the user has activated, else the project's."""

    def __init__(self, scene: Scene, path: str) -> None:
        self.scene = scene
        self.path = path

    def command_line(self) -> str:
        """Activate, set, run: in words for sh."""
        scene = self.scene
        plan = scene.found.plan
        words = ["env"]
        for values in (scene.planned(), scene.given()):
            words += [_assignment(name, value) for name, value in values.items()]
        words += [_assignment(secret.name) for secret in scene.secrets()]
        command = [shlex.quote(word) for word in scene.request.command or (self._shell(),)]
        line = " ".join([*(words if len(words) > 1 else ()), *command])
        path = "".join(f"{shlex.quote(d.path)}:" for d in plan.path) if plan else ""
        put = f"export PATH={path}$PATH && " if path else ""
        return f". {shlex.quote(f'{self.path}/bin/activate')} && {put}{line}"

    def run(self, secrets: Secrets) -> End:
        scene = self.scene
        for option in _without_effect(scene.request):
            say(f"shellenv: {option} has no effect in a virtual environment")
        self._tell_changed()
        env = {**environment(scene.ctx, scene.found), **scene.given()}
        env.update(secrets.values(env))
        scene.explain(self.command_line())
        return supervise(scene.request.command or (self._shell(),), env)

    def _tell_changed(self) -> None:
        """A container would have been made anew; this waits for a word."""
        project = self.scene.project
        if self.path != project.venv:
            return
        install = self.scene.setting("install")
        names = dependencies.changed(project.root, install, self.path)
        if names:
            self.scene.explain(
                f"shellenv: {', '.join(names)}: not as when this was installed; "
                "setup-venv brings it up to date"
            )

    def _shell(self) -> str:
        return self.scene.ctx.surroundings.get("SHELL") or "/bin/sh"


def open(scene: Scene) -> Venv:  # noqa: A001 # the interface's name
    """The virtual environment of a run here. Raises ShellenvError if there is none."""
    path = by_hand(scene.ctx.env, scene.project) or scene.project.venv
    if path is None:
        entry = scene.found.settings.venv_dir
        place = paths.tilde(scene.ctx, f"{entry}/{os.path.basename(scene.project.root)}")
        raise ShellenvError(
            f"{scene.project.name} has no virtual environment", f"setup-venv makes {place}"
        )
    return Venv(scene, path)


def _without_effect(request: Request) -> Iterator[str]:
    """The options that are for containers, in words."""
    for name in CONTAINER_ONLY:
        if getattr(request, name):
            yield "-v" if name == "volumes" else f"--{name}"
    if request.ports:
        from shellenv.ports import published  # with all about connections

        for option in request.ports:
            found = published(option)
            if not found or any(port.number != port.inside for port in found):
                yield f"-p {option}"


def _assignment(name: str, value: str | None = None) -> str:
    return shlex.quote(f"{name}={'***' if value is None or is_secret(name) else value}")
