"""`-v` and `[shellenv.run] volumes`: what they mean on the engine's machine."""

from __future__ import annotations

import os
import re

from shellenv.container import Mount, mount_words
from shellenv.environments import Scene
from shellenv.environments.place import Place


def filled(scene: Scene, place: Place, user: str, text: str) -> str:
    """A configured volume with dockerutils' replacements and the user's variables."""
    replaced = {"project_root": scene.project.root, "user": user}
    replaced.update(project=scene.project.name, home=place.home)
    text = re.sub(r"\{(\w+)\}", lambda match: replaced.get(match[1], match[0]), text)
    env = {**scene.ctx.surroundings, "HOME": place.home}
    return re.sub(r"\$(?:(\w+)|\{(\w+)\})", lambda m: env.get(m[1] or m[2], ""), text)


def words(scene: Scene, place: Place, volume: str, directory: str) -> list[str]:
    """The options for `volume`, its host's part being relative to `directory`, from `~`, or
    absolute; what is below the project's root is so on the engine's machine."""
    root = scene.project.root
    host, separator, rest = volume.partition(":")
    if separator and host.startswith("~"):
        host = f"{place.home}{host[1:]}" if host[1:2] in ("", "/") else host
    elif separator and (host in (".", "..") or "/" in host) and not host.startswith("/"):
        host = os.path.normpath(f"{directory}/{host}")
    if f"{host}/".startswith(f"{root}/"):
        host = place.source + host[len(root) :]
    target, _, mode = rest.partition(":")
    if place.elsewhere and host.startswith("/") and mode in ("", "rw", "ro"):
        return mount_words(Mount(host, target, readonly=mode == "ro"), strict=True)
    return ["-v", f"{host}{separator}{rest}"]
