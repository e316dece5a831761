"""The hint: which execution environment a run would use, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from shellenv.config import Config
from shellenv.project import Project


class Hint(NamedTuple):
    """`exec_env` is `venv`, `docker`, `remote`, or "" where nothing to run in was found.

    `reason` is a clause that says why, for people.
    """

    exec_env: str
    reason: str


def hint(
    env: Mapping[str, str],
    config: Config,
    project: Project | None,
    image: str = "",
    option: str = "",
) -> Hint:
    """The execution environment by the rules, first match wins. Pure.

    `option` is what `--env` said, "" if nothing; `image` is the path that shows a docker image
    (see `image_sign`), "" if there is none. The reason for a virtual environment that the user has
    activated by hand names it.
    """
    found = _chosen(env, config, project, image, option)
    active = by_hand(env, project)
    if found.exec_env != "venv" or not active:
        return found
    return Hint("venv", f"{found.reason}; you have activated {active}, which wins")


def by_hand(env: Mapping[str, str], project: Project | None) -> str:
    """The virtual environment that the user has activated, which wins over the project's; "" if
    that is none, or the project's. `env` is the environment outside of projects."""
    active = env.get("VIRTUAL_ENV", "")
    return "" if project is not None and active == project.venv else active


def _chosen(
    env: Mapping[str, str], config: Config, project: Project | None, image: str, option: str
) -> Hint:
    if option and option != "auto":
        return Hint(option, f"--env {option}")
    chosen = None if option else config.get("shellenv", "exec_env")
    if chosen is not None and chosen.value != "auto":
        return Hint(chosen.value, f"exec_env = {chosen.value} ({chosen.origin})")
    if env.get("SHELLENV_DOCK"):
        return Hint("remote", f"docked to {env['SHELLENV_DOCK']}")
    if host := other_machine(env.get("DOCKER_HOST", "")):
        return Hint("remote", f"DOCKER_HOST names another machine, {host}")
    if project is not None and project.venv is not None:
        return Hint("venv", f"the project has the virtual environment {project.venv}")
    if image:
        return Hint("docker", f"the project has a docker image: {image}")
    if project is not None and (entry := config.get("shellenv.run", "image")) and entry.value:
        return Hint("docker", f"[shellenv.run] image = {entry.value} ({entry.origin})")
    return Hint("", "there is neither a virtual environment nor a docker image")


def image_sign(root: str) -> str:
    """What in a project's root shows that it has a docker image: a path, or ""."""
    from shellenv.baseimage import devcontainers, has_dockerfile

    if has_dockerfile(root):
        return f"{root}/docker"
    return next((f"{root}/{file.partition('/')[0]}" for file in devcontainers(root)), "")


def other_machine(docker_host: str) -> str:
    """The host part of a `DOCKER_HOST` if that is another machine, else "".

    `ssh://` always is; `tcp://` is unless it names the loopback interface; `unix://`, `fd://` and
    `npipe://` never are. A bare `host:port` means tcp, as for docker.
    """
    scheme, separator, rest = docker_host.partition("://")
    if not separator:
        scheme, rest = "tcp", docker_host
    if scheme not in ("ssh", "tcp", "http", "https"):
        return ""
    host = rest.partition("/")[0].rpartition("@")[2]
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    loopback = name in ("", "localhost", "::1") or name.startswith("127.")
    return "" if loopback and scheme != "ssh" else host
