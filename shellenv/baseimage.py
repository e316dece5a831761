"""Which image a project's container starts from, and how to build it if the project has one."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from shellenv import files
from shellenv.config import Config
from shellenv.errors import ShellenvError

DEVCONTAINERS = (".devcontainer/devcontainer.json", ".devcontainer.json")

PASSED_OVER = (
    *("features", "containerEnv", "remoteEnv", "mounts", "runArgs", "appPort", "privileged"),
    *("capAdd", "securityOpt", "initializeCommand", "onCreateCommand", "updateContentCommand"),
    *("postCreateCommand", "postStartCommand", "postAttachCommand"),
)
"""What of a devcontainer.json would change a run and does not: for that there is [shellenv.run].
(Who one is there, and where the project is, is the same in all containers.)"""


class Build(NamedTuple):
    """A `docker build`: paths are absolute."""

    dockerfile: str
    context: str
    args: tuple[tuple[str, str], ...] = ()
    target: str = ""


class Base(NamedTuple):
    """An image to start from. `reason` is a clause that says why; with `build` it is the
    project's own, and `reference` the name it gets. `notice` is what people should know of it."""

    reference: str
    reason: str
    build: Build | None = None
    notice: str = ""


def choose(
    config: Config, root: str, name: str, user: str, option: str, env: Mapping[str, str]
) -> Base:
    """The image by the rules, first match wins: `option` (--image), [shellenv.run] image, the
    project's one directory in docker/ or the one called base, devcontainer.json, the default.

    Either of the first two may name a directory in docker/. A devcontainer.json may refer to `env`,
    the user's own environment. Raises ShellenvError for a project with several such directories of
    which none is named or called base, and for a devcontainer.json that does not parse or names
    neither an image nor a build.
    """
    if option:
        return _named(option, root, name, user, f"--image {option}")
    entry = config.get("shellenv.run", "image")
    if entry is not None and entry.value:
        reason = f"[shellenv.run] image = {entry.value} ({entry.origin})"
        return _named(entry.value, root, name, user, reason)
    own = own_images(root)
    if len(own) == 1:
        return _named(own[0], root, name, user, f"docker/{own[0]} is the project's only image")
    if "base" in own:  # what dockerutils' users work in, beside those for notebooks and tests
        return _named("base", root, name, user, "docker/base is the project's base image")
    if own:
        raise ShellenvError(
            f"docker/ has several images: {', '.join(own)}",
            f"name one: run-shell --image {own[0]}, or [shellenv.run] image = {own[0]}",
        )
    dockerfile = f"{root}/docker/Dockerfile"
    if os.path.isfile(dockerfile):
        reason = "docker/Dockerfile is the project's"
        return Base(f"{component(name)}:{tag(user)}", reason, Build(dockerfile, root))
    written = devcontainers(root)
    if len(written) > 1 and written[0] not in DEVCONTAINERS:
        names = ", ".join(file.split("/")[1] for file in written)
        raise ShellenvError(
            f".devcontainer has several: {names}",
            "name an image: run-shell --image IMAGE, or [shellenv.run] image = IMAGE",
        )
    if written:
        return _devcontainer(root, written[0], name, user, env)
    default = config.get("shellenv.run", "default_image")
    value = default.value if default else ""
    return Base(value, f"default_image = {value} ({default.origin if default else ''})")


def devcontainers(root: str) -> list[str]:
    """The project's devcontainer.json files where editors look for them, the first before the
    others, by their path from the root."""
    inner = (f".devcontainer/{n}/devcontainer.json" for n in _names(f"{root}/.devcontainer"))
    return [file for file in (*DEVCONTAINERS, *inner) if os.path.isfile(f"{root}/{file}")]


def has_dockerfile(root: str) -> bool:
    """Is there an image in the project's docker/? Many hold compose files only."""
    return os.path.isfile(f"{root}/docker/Dockerfile") or bool(own_images(root))


def own_images(root: str) -> list[str]:
    """The directories in the project's docker/ that have a Dockerfile."""
    names = _names(f"{root}/docker")
    return [name for name in names if os.path.isfile(f"{root}/docker/{name}/Dockerfile")]


def _names(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except OSError:
        return []


def _named(image: str, root: str, name: str, user: str, reason: str) -> Base:
    dockerfile = f"{root}/docker/{image}/Dockerfile"
    if re.fullmatch(r"[\w.-]+", image) and os.path.isfile(dockerfile):
        # dockerutils' names and context, so that the images of either are the other's
        return Base(f"{component(f'{name}-{image}')}:{tag(user)}", reason, Build(dockerfile, root))
    return Base(image, reason)


def component(name: str) -> str:
    """`name` as a part of an image's name: lower case, and nothing that docker refuses."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "project"


def tag(name: str) -> str:
    """`name` as an image's tag, or as a container's or a volume's name."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name).lstrip(".-")[:100] or "x"


def _devcontainer(root: str, file: str, name: str, user: str, env: Mapping[str, str]) -> Base:
    path = f"{root}/{file}"
    hint = "run-shell --image IMAGE goes without it"
    try:
        found: Any = parse_jsonc(files.read_regular(path).decode("utf-8-sig"))
    except (OSError, ValueError) as error:
        raise ShellenvError(f"{path} does not parse: {error}", hint) from error
    if not isinstance(found, dict):
        raise ShellenvError(f"{path} is no JSON object", hint)
    passed_over = ", ".join(name for name in PASSED_OVER if found.get(name))
    notice = f"of {file} these do not count here: {passed_over}" if passed_over else ""
    found = _filled(found, root, env)
    build = _object(found.get("build"))
    dockerfile = build.get("dockerfile") or build.get("dockerFile") or found.get("dockerFile")
    if isinstance(dockerfile, str):
        here = os.path.dirname(path)
        context = str(build.get("context") or found.get("context") or ".")
        return Base(
            f"{component(f'{name}-devcontainer')}:{tag(user)}",
            f"{file} has a build",
            Build(
                os.path.normpath(f"{here}/{dockerfile}"),
                os.path.normpath(f"{here}/{context}"),
                tuple((str(key), str(value)) for key, value in _object(build.get("args")).items()),
                str(build.get("target") or ""),
            ),
            notice,
        )
    image = found.get("image")
    if isinstance(image, str) and image:
        return Base(image, f"{file} names it", notice=notice)
    what = "is for docker compose" if "dockerComposeFile" in found else ""
    raise ShellenvError(f"{path} {what or 'names neither an image nor a build'}", hint)


VARIABLE = re.compile(r"\$\{(?:localEnv:(\w+)(?::([^}]*))?|(localWorkspaceFolder(?:Basename)?))\}")
"""How a devcontainer.json refers to the machine that it is used on."""


def _filled(value: Any, root: str, env: Mapping[str, str]) -> Any:
    """A value of a devcontainer.json with its variables replaced."""

    def replaced(match: re.Match[str]) -> str:
        if match[3]:
            return root if match[3] == "localWorkspaceFolder" else os.path.basename(root)
        return env.get(match[1]) or match[2] or ""

    if isinstance(value, str):
        return VARIABLE.sub(replaced, value)
    if isinstance(value, dict):
        return {key: _filled(inner, root, env) for key, inner in value.items()}
    return value


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


_STRING = r'"(?:\\.|[^"\\])*"'


def parse_jsonc(text: str) -> Any:
    """JSON with comments and commas before a closing bracket, as editors write it. Raises
    ValueError."""
    import json

    def strings_only(match: re.Match[str]) -> str:
        return match[0] if match[0].startswith('"') else " "

    text = re.sub(_STRING + r"|//[^\n]*|/\*.*?\*/", strings_only, text, flags=re.S)
    text = re.sub(_STRING + r"|,(?=\s*[}\]])", strings_only, text, flags=re.S)
    return json.loads(text)
