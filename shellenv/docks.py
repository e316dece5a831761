"""Known docks: the machines that `register-dock` has written down, and dockerutils' own.

Ours are `Host` blocks of an ssh configuration file, which one `Include` line makes known to
everything that reads `~/.ssh/config` (see `sshconfig`). dockerutils 2.0.7 wrote a directory
`~/.docker/<address>` for each, with shell assignments in `connection_config.txt`; these are read
where they are, as text.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from shellenv import files, paths
from shellenv.context import Context
from shellenv.errors import ShellenvError

HEADER = """\
# Written by shellenv (register-dock, unregister-dock); ~/.ssh/config includes it.
# Settings of your own for a dock belong into ~/.ssh/config, below that line.
"""

# Narrower than what OpenSSH takes: no option, pattern (`*?!,`), token (`%`), white space, quote or
# control character fits in, so that a value is the same on a command line and in a file.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,252}")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._@+-]{0,63}")
_IDENTITY = re.compile(r"(?:/|~/)[^\x00-\x1f\x7f\"'\\%$*?\[\]]*")

_ASSIGNMENT = re.compile(r"\s*(?:export\s+|declare\s+(?:-\w+\s+)*)?([A-Za-z_]\w*)=(.*?)\s*")


class Dock(NamedTuple):
    """A machine that hosts docker, and how to reach it.

    `moniker` is its name here, `host` its name or address. `user` and `identity` may be "" and
    `port` 0: then the user's ssh configuration decides. `source` is the file that says all this.
    """

    moniker: str
    host: str
    user: str = ""
    port: int = 0
    identity: str = ""
    source: str = ""

    @property
    def address(self) -> str:
        """`host` or `host:port`, IPv6 addresses in brackets, as people write it."""
        if not self.port:
            return self.host
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


# --- what may be written into ssh's files and command lines -------------------------------------


def checked(dock: Dock) -> Dock:
    """`dock`, if each of its values is harmless to ssh.

    Raises ShellenvError for one that could be read as an option, a pattern or a token.
    """
    for what, value, fits in (
        ("host", dock.host, is_host(dock.host)),
        ("moniker", dock.moniker, is_host(dock.moniker)),
        ("user", dock.user, not dock.user or _USER.fullmatch(dock.user)),
        ("identity", dock.identity, not dock.identity or _IDENTITY.fullmatch(dock.identity)),
    ):
        if not fits:
            raise ShellenvError(f"{value!r} cannot be a dock's {what}", _ALLOWED[what])
    if not 0 <= dock.port <= 65535:
        raise ShellenvError(f"{dock.port} is no port", "a port is a number from 1 to 65535")
    return dock


_ALLOWED = {
    "host": "a host is a name (letters, digits, `.`, `-`, `_`), an IPv4 or an IPv6 address",
    "moniker": "a moniker is made of letters, digits, `.`, `-` and `_`, and starts with no dash",
    "user": "a user is made of letters, digits and `.-_+@`, and starts with no dash",
    "identity": "an identity is a file's path without quotes, backslashes, `%`, `$` and patterns",
}


def is_host(text: str) -> bool:
    """Is it a name or an address that ssh can take for nothing else? IPv6 without a zone."""
    if ":" in text:
        import socket

        try:
            socket.inet_pton(socket.AF_INET6, text)
        except (OSError, ValueError):
            return False
        return "%" not in text
    return _NAME.fullmatch(text) is not None


def target(text: str) -> tuple[str, str, int]:
    """`[user@]HOST[:port]` -> user (or ""), host, port (or 0). IPv6 in brackets if with a port.

    Raises ShellenvError for a port that is none; what the others contain is `checked`'s matter.
    """
    user, at, rest = text.removeprefix("ssh://").rpartition("@")
    host, port = rest, ""
    if rest.startswith("["):
        host, bracket, port = rest[1:].partition("]")
        if not bracket or (port and not port.startswith(":")):
            raise ShellenvError(f"{text!r} is no host", "an IPv6 address: [2001:db8::1]:2222")
        port = port[1:]
        colon = rest.endswith("]:")
    elif rest.count(":") == 1:
        host, _, port = rest.partition(":")
        colon = not port
    else:
        colon = False
    if (at and not user) or colon or not host:
        raise ShellenvError(f"{text!r} is no host", "write [user@]HOST[:port]")
    return user, host, port_number(port) if port else 0


def port_number(text: str) -> int:
    """A TCP port. Raises ShellenvError for anything else."""
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= 65535:
        raise ShellenvError(f"{text!r} is no port", "a port is a number from 1 to 65535")
    return int(text)


# --- our file -----------------------------------------------------------------------------------


def own_file(ctx: Context) -> str:
    """The file of our docks. Raises ShellenvError without a home."""
    base = paths.config_dir(ctx)
    if base is None:
        raise ShellenvError("there is no home directory to keep docks in", "set HOME")
    return f"{base}/ssh_config"


def block(dock: Dock) -> str:
    """The `Host` block of a dock.

    CanonicalizeHostname makes ssh read its configuration a second time for the real host, so that
    the user's own rules for an address (a bastion) hold for the moniker, too (ssh_config(5)).
    StrictHostKeyChecking stands here so that no `no` further down makes a dock unverified.
    """
    lines = [f"Host {dock.moniker}"]
    if dock.host != dock.moniker:
        lines.append(f"HostName {dock.host}")
    if dock.user:
        lines.append(f"User {dock.user}")
    if dock.port:
        lines.append(f"Port {dock.port}")
    if dock.identity:
        lines += [f'IdentityFile "{dock.identity}"', "IdentitiesOnly yes"]
    if dock.host != dock.moniker:
        lines.append("CanonicalizeHostname yes")
    lines.append("StrictHostKeyChecking ask")
    return "\n  ".join(lines) + "\n"


def parse(text: str, source: str = "") -> tuple[Dock, ...]:
    """The docks that a file of ours describes, in its order. What is no dock is passed over."""
    found = []
    for name, body in _split(text)[1]:
        option: dict[str, str] = {}
        for line in body.splitlines()[1:]:
            word, _, value = line.strip().partition(" ")
            option.setdefault(word.lower(), value.strip().strip('"'))
        port = option.get("port", "")
        dock = Dock(
            name,
            option.get("hostname", name),
            option.get("user", ""),
            int(port) if port.isdecimal() else 0,
            option.get("identityfile", ""),
            source,
        )
        try:
            found.append(checked(dock))
        except ShellenvError:
            continue
    return tuple(found)


def with_dock(text: str, dock: Dock) -> str:
    """The file's text with this dock's block, instead of one of the same moniker if there is one.

    Other blocks stay as they are; all are sorted, so that the text does not depend on the past.
    """
    return _joined(text, {**dict(_split(text)[1]), dock.moniker: block(dock)})


def without_dock(text: str, moniker: str) -> str:
    """The file's text without this dock's block; "" if nothing but our own heading is left."""
    blocks = {name: body for name, body in _split(text)[1] if name != moniker}
    rest = _joined(text, blocks)
    return "" if rest == HEADER else rest


def _split(text: str) -> tuple[str, list[tuple[str, str]]]:
    """What stands above the first block, and each block by what follows `Host`."""
    head, *rest = re.split(r"(?im)^[ \t]*(?=(?:host|match)[ \t])", text)
    return head, [(part.partition("\n")[0].partition(" ")[2].strip(), part) for part in rest]


def _joined(text: str, blocks: Mapping[str, str]) -> str:
    head = _split(text)[0].strip("\n") or HEADER
    parts = [head, *(blocks[name].strip("\n") for name in sorted(blocks))]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def read_text(path: str) -> str:
    """A text file's content, "" if there is none. Raises ShellenvError if it cannot be read."""
    return _read(path) or ""


def _read(path: str) -> str | None:
    try:
        content = files.read_regular(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ShellenvError(f"cannot read {path}: {error.strerror}", "check its permissions") from (
            error
        )
    if len(content) > files.MAX_BYTES:
        raise ShellenvError(f"{path} is larger than 1 MiB", "unregister docks that are gone")
    return content.decode("utf-8", "surrogateescape")


# --- dockerutils' files -------------------------------------------------------------------------


def dockerutils_dock(text: str, directory: str, env: Mapping[str, str], source: str) -> Dock:
    """The dock that a `connection_config.txt` describes. Nothing in it is run.

    dockerutils 2.0.7 writes DOCK_USER, DOCK_MONIKER (`none` if there is none), DOCK_HOSTNAME and
    DOCK_IP; where a name is missing, the environment's DOCK_USER and the `directory`'s name stand
    in, as they did there. Raises ShellenvError for a value that cannot be used.
    """
    value: dict[str, str] = {}
    for line in text.splitlines():
        assignment = _ASSIGNMENT.fullmatch(line)
        if assignment:
            name, given = assignment.groups()
            quoted = len(given) > 1 and given[0] == given[-1] and given[0] in "'\""
            value[name] = given[1:-1] if quoted else given
    user, host, port = value.get("DOCK_USER") or env.get("DOCK_USER", ""), "", 0
    if value.get("DOCKER_HOST", "").startswith("ssh://"):
        own_user, host, port = target(value["DOCKER_HOST"].rstrip("/"))
        user = own_user or user
    host = value.get("DOCK_IP") or value.get("DOCK_HOSTNAME") or host or directory
    moniker = value.get("DOCK_MONIKER", "")
    return checked(Dock(host if moniker in ("", "none") else moniker, host, user, port, "", source))


def _dockerutils(ctx: Context) -> tuple[list[Dock], list[str]]:
    """dockerutils' docks by directory, and what is wrong with the others."""
    top = paths.in_home(ctx, ".docker")
    found: list[Dock] = []
    warnings: list[str] = []
    try:
        names = sorted(os.listdir(top)) if top else []
    except OSError:
        names = []
    for name in names:
        path = f"{top}/{name}/connection_config.txt"
        try:
            text = _read(path)
            if text is not None:
                found.append(dockerutils_dock(text, name, ctx.env, path))
        except ShellenvError as error:
            warnings.append(f"{paths.tilde(ctx, path)} is left out: {error.message}")
    return found, warnings


# --- all of them --------------------------------------------------------------------------------


class Known(NamedTuple):
    """All known docks, sorted by moniker, each moniker once, and what could not be used."""

    docks: tuple[Dock, ...]
    warnings: tuple[str, ...] = ()


def known(ctx: Context) -> Known:
    """Every dock that is known: ours, then dockerutils', whose monikers give way to ours."""
    own = own_file(ctx)
    theirs, warnings = _dockerutils(ctx)
    found: dict[str, Dock] = {}
    for dock in (*parse(read_text(own), own), *theirs):
        if dock.moniker not in found:
            found[dock.moniker] = dock
        elif dock.host not in found:
            found[dock.host] = dock._replace(moniker=dock.host)
    return Known(tuple(found[name] for name in sorted(found)), tuple(warnings))


def find(docks: Iterable[Dock], name: str) -> Dock:
    """The dock of this moniker, or else the first at this address. Raises ShellenvError."""
    docks = tuple(docks)
    for dock in docks:
        if dock.moniker == name:
            return dock
    for dock in docks:
        if name in (dock.host, dock.address):
            return dock
    refuse_misspelt(docks, name)
    raise ShellenvError(f"no dock is called {name!r}", "shellenv ls-dock lists them")


def refuse_misspelt(docks: Iterable[Dock], name: str) -> None:
    """Raise ShellenvError if one of these docks is called nearly that."""
    from shellenv.schema import nearest

    near = nearest(name, (dock.moniker for dock in docks))
    if near:
        raise ShellenvError(f"no dock is called {name!r}", f"did you mean {near}?")
