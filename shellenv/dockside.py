"""What there is at the far end of a connection: who one is there, and how to use its docker."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING

from shellenv import problems, ssh
from shellenv.connection import Facts
from shellenv.engine import Engine, Version
from shellenv.problems import LinkError, Problem

if TYPE_CHECKING:
    from shellenv.link import Link

OLDEST_API = "1.24"
"""What Docker's own clients want at least (docker CLI 20 to 28, docker-py 7)."""

QUESTIONS = r"""
LC_ALL=C; export LC_ALL
say user "$(id -un)"
say uid "$(id -u)"
say gid "$(id -g)"
say home "$HOME"
run=${XDG_RUNTIME_DIR:-/run/user/$(id -u)}
named=${DOCKER_HOST-}
if [ -z "$named" ] && grep -q currentContext "$HOME/.docker/config.json" 2>/dev/null; then
  named=$(docker context inspect --format '{{.Endpoints.docker.Host}}' 2>/dev/null)
fi
say named "$named"
if [ -n "$named" ]; then
  set -- "$named"
else
  set -- unix:///var/run/docker.sock "unix://$run/docker.sock" \
    unix:///run/podman/podman.sock "unix://$run/podman/podman.sock"
fi
for candidate; do
  case $candidate in unix:///*) ;; *) continue ;; esac
  candidate=${candidate#unix://}
  [ -S "$candidate" ] || continue
  if [ -w "$candidate" ]; then say socket "$candidate"; break; fi
  say denied "$candidate"
done
command -v docker >/dev/null 2>&1 && say client docker
:
"""
"""What to ask a dock first. Which socket is docker's is asked, not assumed: what `DOCKER_HOST` or
docker's context names, and only that; else the first there is of Docker's own, rootless Docker's
and Podman's (podman-system-service(1))."""

VERSION = f"say version \"$({ssh.VERSION} 2>&1 | tr '\\n' ' ')\""


def explore(link: Link, end: float) -> Facts:
    """Find docker at the dock and make it usable here, until `end`. Raises LinkError."""
    opener = link.opener
    name, limit = opener.dock.moniker, opener.client.limit
    said = link.ask(QUESTIONS, end)
    if said is None:
        late = monotonic() >= end
        mute = Problem("shell", f"{name} lets nobody run commands", f"see what ssh {name} says")
        raise LinkError(problems.too_late(name, limit) if late else mute)
    answers = dict(said)
    socket, version = answers.get("socket", ""), Version("", "")
    if socket and opener.transport == "socket" and link.forward(socket):
        version = Engine(f"unix://{link.place.socket}", max(end - monotonic(), 0.01)).version()
    if version.docker:
        if _numbers(version.api) < _numbers(OLDEST_API):
            raise LinkError(problems.old_api(name, version.docker, version.api, OLDEST_API))
        docker_host = f"unix://{link.place.socket}"
    else:
        version = Version(_by_client(link, answers, end), "")
        socket, docker_host = "", _ssh_url(link)
        with suppress(OSError):
            os.unlink(link.place.socket)
    return Facts(
        moniker=name,
        docker_host=docker_host,
        ip=_address(opener.dock.host, opener.settings()),
        docker=version.docker,
        api=version.api,
        socket=socket,
        user=answers["user"],
        uid=int(answers["uid"]),
        gid=int(answers["gid"]),
        home=answers["home"],
    )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdecimal())


def _by_client(link: Link, answers: Mapping[str, str], end: float) -> str:
    """The version that the dock's own docker client tells; where that works and the socket did not,
    forwarding is forbidden, or not wanted. Raises LinkError."""
    opener = link.opener
    name, limit = opener.dock.moniker, opener.client.limit
    settings = {**opener.settings(), "user": answers["user"]}
    named = answers["named"]
    if named and not named.startswith("unix://"):
        raise LinkError(problems.elsewhere(name, named))
    if "client" not in answers and "socket" in answers:
        raise LinkError(problems.silent(name, answers["socket"]))
    if "client" not in answers and "denied" not in answers:
        raise LinkError(problems.diagnose(problems.Done(127, "", ""), name, settings, limit))
    said = link.ask(VERSION, end)
    if said is None:
        raise LinkError(problems.too_late(name, limit))
    text = dict(said).get("version", "").strip()
    if text and " " not in text:
        return text
    if "denied" in answers and "socket" not in answers:
        text = f"permission denied: docker's socket {answers['denied']}"
    raise LinkError(problems.diagnose(problems.Done(1, "", text), name, settings, limit))


def _ssh_url(link: Link) -> str:
    """The dock as docker's own ssh transport wants it. That reads the user's ssh configuration,
    which must have what we have given on command lines: the key, and that the host's is verified.
    Raises LinkError for a dock that is not registered."""
    moniker = link.opener.dock.moniker
    if [moniker] != list(link.opener.words):
        raise LinkError(problems.unregistered(moniker))
    return f"ssh://{moniker}"


def _address(name: str, settings: Mapping[str, str]) -> str:
    """The dock's address if this machine can tell, else its name."""
    import socket

    host = settings.get("hostname", name)
    if settings.get("proxyjump", "none") != "none":  # the name may mean something there only
        return host
    try:
        return str(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0])
    except OSError:
        return host
