"""A container as a value, and how to ask for it: in the docker CLI's words, or in the API's."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

SHARED_GIB = 8
"""How much programs may have in /dev/shm, which on a machine is half of its memory. Docker's own 64
MB are too little for processes that hand each other data (PyTorch's are known for it)."""


class Mount(NamedTuple):
    """Something of the engine's machine at a path of the container: a directory (`bind`), or a
    `volume` by its name."""

    source: str
    target: str
    kind: str = "bind"
    readonly: bool = False


class Container(NamedTuple):
    """What to make.

    `command` is empty for the image's own. `labels` and `driver` (docker's log driver) tie it to a
    run; `keep` it when it has ended. `groups` are the user's besides the image's. `more` are
    options that only the docker CLI can read.
    """

    name: str
    image: str
    command: tuple[str, ...]
    workdir: str
    mounts: tuple[Mount, ...]
    env: Mapping[str, str]
    labels: Mapping[str, str]
    driver: str
    stdin: bool
    tty: bool
    keep: bool
    groups: tuple[int, ...] = ()
    more: tuple[str, ...] = ()


def words(wanted: Container, is_secret: Callable[[str], bool], by_hand: bool = False) -> list[str]:
    """The words behind `docker run` or `docker create`.

    A variable that `is_secret` has no value there: docker takes that from its own environment.
    `by_hand` is for people: without what ties the container to a run.
    """
    found = [*([] if wanted.keep else ["--rm"]), "--init"]
    found += [f"-{'i' * wanted.stdin}{'t' * wanted.tty}"] if wanted.stdin or wanted.tty else []
    found += ["--shm-size", f"{SHARED_GIB}g"]
    if not by_hand:
        found += ["--name", wanted.name, "--log-driver", wanted.driver]
        for name, value in wanted.labels.items():
            found += ["--label", f"{name}={value}"]
    for mount in wanted.mounts:
        found += mount_words(mount)
    found += group_words(wanted.groups)
    found += ["--workdir", wanted.workdir, *wanted.more]
    for name, value in wanted.env.items():
        found += ["-e", name if is_secret(name) else f"{name}={value}"]
    return [*found, wanted.image, *wanted.command]


def body(wanted: Container) -> dict[str, Any]:
    """The same for the Engine API (ContainerCreate), but for `more`, which it does not know."""
    return {
        "Image": wanted.image,
        "Cmd": list(wanted.command) or None,
        "Env": [f"{name}={value}" for name, value in wanted.env.items()],
        "Labels": dict(wanted.labels),
        "WorkingDir": wanted.workdir,
        "Tty": wanted.tty,
        "OpenStdin": wanted.stdin,
        "StdinOnce": wanted.stdin,
        "AttachStdin": wanted.stdin,
        "AttachStdout": True,
        "AttachStderr": True,
        "HostConfig": {
            "AutoRemove": not wanted.keep,
            "GroupAdd": [str(group) for group in wanted.groups],
            "Init": True,
            "ShmSize": SHARED_GIB << 30,
            "LogConfig": {"Type": wanted.driver},
            "Mounts": [
                {
                    "Type": mount.kind,
                    "Source": mount.source,
                    "Target": mount.target,
                    "ReadOnly": mount.readonly,
                }
                for mount in wanted.mounts
            ],
        },
    }


def group_words(groups: tuple[int, ...]) -> list[str]:
    """The docker options for groups."""
    return [word for group in groups for word in ("--group-add", str(group))]


def mount_words(mount: Mount, strict: bool = False) -> list[str]:
    """The docker options for a mount, whose paths may have any character. If there is no such
    directory docker makes one, which is root's; with `strict` it refuses."""
    if not strict and ":" not in mount.source + mount.target:
        return ["-v", f"{mount.source}:{mount.target}{':ro' if mount.readonly else ''}"]
    fields = [f"type={mount.kind}", f"source={mount.source}", f"target={mount.target}"]
    fields += ["readonly"] if mount.readonly else []
    return ["--mount", ",".join(map(_field, fields))]


def _field(text: str) -> str:
    """A field of comma-separated values (RFC 4180)."""
    return '"' + text.replace('"', '""') + '"' if re.search('[,"\r\n]', text) else text
