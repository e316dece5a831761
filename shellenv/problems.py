"""What a failed question to a machine means: by OpenSSH's words, for people and for programs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from shellenv.errors import ShellenvError

SPELLING = "is it spelled right? ls-dock lists the known docks"


class Done(NamedTuple):
    """What a program left; `status` is None if it had to be ended because its time was over."""

    status: int | None
    stdout: str
    stderr: str


class Problem(NamedTuple):
    """Why a machine does not answer. `kind` is for programs; the rest is as in ShellenvError."""

    kind: str
    message: str
    hint: str

    def error(self) -> ShellenvError:
        return ShellenvError(self.message, self.hint)


class LinkError(Exception):
    """The connection to a dock could not be opened, for this reason."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


DOCKER_PROBLEMS = ("no docker", "daemon down", "not in group", "old docker", "docker")
"""Kinds of problems of machines that let the user in."""

DROPPED = re.compile(r"kex_exchange_identification: .*(?:closed|reset)", re.IGNORECASE)
"""What ssh says when a server, or one on the way to it, takes no more connections just now."""

_UNKNOWN = re.compile(r"No (?P<type>\S+) host key is known for (?P<host>\S+) and you have")
_CHANGED = re.compile(r"Host key for (?P<host>\S+) has changed and you have")
_OFFENDING = re.compile(r"Offending (?P<type>\S+) key in (?P<file>.+):(?P<line>\d+)")
_REVOKED = re.compile(r"REVOKED HOST KEY|host key .* (?:is|was) revoked", re.IGNORECASE)
_SHOWN = re.compile(r"\bSHA256:[A-Za-z0-9+/]{43}")
_DENIED = re.compile(r"(?P<who>\S+): Permission denied \((?P<methods>[^)]*)\)")
_FORWARD = re.compile(r"channel \d+: open failed: (?:connect failed: )?(?P<why>.*)")
_CONNECT = re.compile(r"connect to host (?P<host>\S+) port (?P<port>\d+): (?P<why>.*)")


def diagnose(done: Done, name: str, settings: Mapping[str, str], limit: int) -> Problem:
    """What a failed question means, by ssh's exit status and words. Pure.

    `name` is the dock's, `settings` are its `ssh -G`; ssh's status is 255 for its own failures,
    else the remote command's (ssh(1), EXIT STATUS).
    """
    if done.status is None:
        return too_late(name, limit)
    if done.status == 255:
        return _ssh_problem(done.stderr, name, settings, limit)
    return _docker_problem(done, name, settings)


def _ssh_problem(text: str, name: str, settings: Mapping[str, str], limit: int) -> Problem:
    if changed := _CHANGED.search(text):
        return _changed(text, changed["host"])
    if _REVOKED.search(text):
        return Problem(
            "revoked key",
            f"the host key that {name} shows has been revoked by your known hosts",
            "do not connect; ask whoever runs the machine",
        )
    if unknown := _UNKNOWN.search(text):
        return Problem(
            "unknown key",
            f"the host key of {name} is not known ({unknown['type']} key of {unknown['host']})",
            f"shellenv register-dock {name} shows it and asks",
        )
    if "Host key verification failed" in text:
        jump = settings.get("proxyjump", "")
        return Problem(
            "jump key",
            f"the host key of a machine on the way to {name} is not known or has changed",
            f"log in there once and check it: ssh {jump}" if jump else f"see what ssh {name} says",
        )
    if denied := _DENIED.search(text):
        return Problem(
            "authentication",
            f"{denied['who']}: authentication failed ({denied['methods']})",
            "is it the right user and key? is the key in the agent (ssh-add)? "
            "ssh-copy-id brings it there, so that nobody has to be asked for a password",
        )
    if "Too many authentication failures" in text:
        return Problem(
            "authentication",
            f"{name}: authentication failed: the agent offered too many keys",
            "name the right one: --identity FILE",
        )
    if "Could not resolve hostname" in text:
        found = re.search(r"Could not resolve hostname (\S+?):? ", text)
        host = found[1].rstrip(":") if found else name
        return Problem("name", f"{host} is not a name that can be found", SPELLING)
    return _connect_problem(text, name, settings, limit)


def _connect_problem(text: str, name: str, settings: Mapping[str, str], limit: int) -> Problem:
    if ("timed out" in text or "Timeout" in text) and not _FORWARD.search(text):
        return too_late(name, limit)
    if found := _CONNECT.search(text):
        where = f"{found['host']} port {found['port']}"
        if "refused" in found["why"]:
            return Problem(
                "refused", f"{where} refuses connections", "does sshd run there, at this port?"
            )
        return Problem("network", f"{where}: {found['why'].strip()}", "is the network up?")
    if found := _FORWARD.search(text):
        jump = settings.get("proxyjump", "")
        why = found["why"].strip().rstrip(":")
        kind = "refused" if "refused" in why else "network"
        via = f" from {jump}" if jump else " from the machine on the way there"
        return Problem(
            kind, f"{name} cannot be reached{via}: {why}", "is it up, with sshd at this port?"
        )
    if DROPPED.search(text):
        return Problem(
            "closed",
            f"{name} closed the connection before it said who it is",
            "is it an ssh server? does it have too many connections, or a rule against yours?",
        )
    if "onfiguration option" in text or "terminating" in text:
        return Problem(
            "configuration", f"ssh does not start: {last_line(text)}", "mend ~/.ssh/config"
        )
    return Problem("ssh", f"ssh to {name} failed: {last_line(text)}", "ssh -v shows more")


def _changed(text: str, host: str) -> Problem:
    offending = _OFFENDING.search(text)
    where = f"{offending['file']} line {offending['line']}" if offending else "your known hosts"
    shown = _SHOWN.search(text)
    import shlex

    remove = ["ssh-keygen", *(["-f", offending["file"]] if offending else []), "-R", host]
    return Problem(
        "changed key",
        f"THE HOST KEY OF {host} HAS CHANGED: it is not the one in {where}. Somebody may be "
        f"listening in, or the machine was set up anew (it now shows {shown[0]})"
        if shown
        else f"THE HOST KEY OF {host} HAS CHANGED: it is not the one in {where}",
        f"only if whoever runs it confirms the new key, remove the old: {shlex.join(remove)}",
    )


def too_late(name: str, limit: int) -> Problem:
    """It took longer than `limit` seconds."""
    return Problem(
        "timeout",
        f"{name} did not answer within {limit} s (timed out)",
        "is it switched on, and reachable from here? [shellenv.ssh] connect_timeout sets the time",
    )


def elsewhere(name: str, docker_host: str) -> Problem:
    """Its own docker client uses another machine, or a way that cannot be forwarded."""
    return Problem(
        "docker",
        f"docker's client at {name} uses {docker_host}, which cannot be forwarded",
        "have DOCKER_HOST or the docker context there name a unix socket",
    )


def unregistered(name: str) -> Problem:
    """Only docker's own ssh could be used, and it knows too little of this dock."""
    return Problem(
        "unregistered",
        f"{name} can be used by docker's own ssh alone, which would not verify its host key",
        f"shellenv register-dock {name} MONIKER makes it known to ssh; then dock MONIKER",
    )


def silent(name: str, socket: str) -> Problem:
    """Nobody answers on its docker socket, and it has no client that could say why."""
    return Problem(
        "daemon down",
        f"docker does not answer at {name}, on {socket}",
        "does it run there, and does sshd allow forwarding (AllowStreamLocalForwarding)?",
    )


def old_api(name: str, docker: str, api: str, oldest: str) -> Problem:
    """Its docker is older than today's clients can talk to."""
    return Problem(
        "old docker",
        f"docker {docker} at {name} speaks API {api}, and clients want {oldest} or newer",
        "update Docker Engine there",
    )


def _docker_problem(done: Done, name: str, settings: Mapping[str, str]) -> Problem:
    text = done.stderr.lower()
    user = settings.get("user", "")
    if "permission denied" in text and "dock" in text:
        who = f"user {user}" if user else "the user"
        return Problem(
            "not in group",
            f"{who} at {name} may not use docker there (not in the group docker)",
            f"at the dock: sudo usermod -aG docker {user or 'USER'}",
        )
    if "cannot connect to the docker daemon" in text or "is the docker daemon running" in text:
        return Problem(
            "daemon down",
            f"the docker daemon at {name} does not run",
            "at the dock: sudo systemctl start docker",
        )
    if done.status in (126, 127) or "not found" in text:
        return Problem(
            "no docker",
            f"there is no docker at {name}, or it is not in PATH there",
            "install Docker Engine there",
        )
    return Problem(
        "docker",
        f"`docker version` failed at {name} with status {done.status}: "
        f"{last_line(done.stderr or done.stdout)}",
        "log in there and try it",
    )


def last_line(text: str) -> str:
    """The last line of `text` that is not empty."""
    lines: Iterable[str] = (line.strip() for line in reversed(text.splitlines()))
    return next((line for line in lines if line), "it said nothing")
