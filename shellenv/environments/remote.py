"""The container on the dock: docker on another engine, between sync-up and sync-down.

`far` is the one place where the connection and the sync are plugged in.
"""

from __future__ import annotations

from shellenv.environments import Scene
from shellenv.environments.docker import Docker, Place
from shellenv.errors import ShellenvError
from shellenv.hint import other_machine


def open(scene: Scene) -> Docker:  # noqa: A001 # the interface's name
    """The container on the dock. Raises ShellenvError if there is no way to it."""
    return Docker(scene, far(scene))


def far(scene: Scene) -> Place:
    """The dock's engine, the project's directory there, who one is there, and the bracket.

    Raises ShellenvError where the shell is not docked.
    """
    env = scene.ctx.shell_env or scene.ctx.env
    if not env.get("SHELLENV_DOCK") and not other_machine(env.get("DOCKER_HOST", "")):
        raise ShellenvError("this shell is not docked", "dock HOST, then try again")
    raise ShellenvError(
        "this version does not connect to docks yet",
        "run-shell --env docker runs it in a container here",
    )
