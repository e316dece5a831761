"""Host keys: which one a machine shows, whether it is the right one, and writing it down.

There is no blind accept: a key is accepted by a person who has seen it, or by its fingerprint.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from shellenv.cli import ask, say
from shellenv.docks import Dock
from shellenv.errors import ShellenvError
from shellenv.problems import diagnose, last_line
from shellenv.ssh import Client, home, program

KEY_TYPES = (
    "",
    "ssh-ed25519",
    "ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521",
    "rsa-sha2-512,rsa-sha2-256",
)
"""What to ask for until a machine shows the key that is looked for; first, what ssh prefers."""


class HostKey(NamedTuple):
    """A key that a machine has shown: its line for a known_hosts file, and how people see it."""

    line: str
    kind: str
    fingerprint: str


def settle(
    client: Client,
    words: Sequence[str],
    dock: Dock,
    settings: Mapping[str, str],
    command: Sequence[str],
    wanted: str = "",
) -> None:
    """Have the key of a machine that is not known written down, if it is the right one.

    With `wanted`, a fingerprint, the two are compared; else the person at the terminal is shown the
    key and decides. Raises ShellenvError if it is not accepted; where there is no terminal to ask
    at, the error names the shellenv `command` (verb and arguments) that would accept it.
    """
    import shlex

    _kept(settings, dock.moniker)
    key = offered(client, words, dock.moniker, wanted)
    shown = f"{key.kind} key {key.fingerprint}"
    if wanted:
        if key.fingerprint != wanted:
            raise ShellenvError(
                f"{dock.moniker} shows another host key: {shown}",
                "is it the right machine, and the right fingerprint? nothing was accepted",
            )
        known = client.ask(words, dock.moniker, settings).problem
        if known is None or known.kind != "unknown key":
            return  # changed, revoked or known: what the next question finds
    else:
        say(
            f"shellenv: the host key of {dock.moniker} ({dock.address}) is not known. It shows:",
            f"  {shown}",
            "Compare it with what whoever runs the machine says.",
        )
        agreed = ask("Is this its key?")
        if agreed is None:
            accept = shlex.join(["shellenv", *command, "--accept-host-key", key.fingerprint])
            raise ShellenvError(
                f"the host key of {dock.moniker} is not known, and there is no terminal to ask at",
                f"if it is its key: {accept}",
            )
        if not agreed:
            raise ShellenvError(
                f"the host key of {dock.moniker} was not accepted", "nothing was changed"
            )
    file = remember(client, key, settings, dock.moniker)
    say(f"shellenv: the key is now in {file}")


def offered(client: Client, words: Sequence[str], name: str, wanted: str = "") -> HostKey:
    """The key that a machine shows, without logging in there; nothing is written down.

    With `wanted`, a fingerprint, its other keys are looked at until one has it; if none has,
    the first is returned. Raises ShellenvError if it shows none.
    """
    import tempfile

    first: HostKey | None = None
    for types in KEY_TYPES if wanted else KEY_TYPES[:1]:
        with tempfile.TemporaryDirectory(prefix="shellenv-") as directory:
            key = _shown(client, words, name, types, f"{directory}/known")
        first = first or key
        if key and key.fingerprint == wanted:
            return key
    assert first is not None  # else _shown raised at the first type
    return first


def _shown(
    client: Client, words: Sequence[str], name: str, types: str, file: str
) -> HostKey | None:
    """The key of these types (all: ""); None if the machine has none of them."""
    done = client.call(
        words,
        "exit",
        client.limit,
        *("PreferredAuthentications=none", "StrictHostKeyChecking=accept-new"),
        *("GlobalKnownHostsFile=/dev/null", "HashKnownHosts=no", "VerifyHostKeyDNS=no"),
        'UserKnownHostsFile="{}"'.format(file.replace("%", "%%")),
        *([f"HostKeyAlgorithms={types}"] if types else []),
    )
    try:
        with open(file, encoding="utf-8", errors="surrogateescape") as stream:
            line = stream.readline().rstrip("\n")
    except FileNotFoundError:
        if types:
            return None
        raise diagnose(done, name, {}, client.limit).error() from None
    printed = _keygen(client, "-l", "-f", file)
    fingerprint = printed.split()[1]
    return HostKey(line, printed.rpartition("(")[2].rstrip(")\n"), fingerprint)


def remember(client: Client, key: HostKey, settings: Mapping[str, str], name: str) -> str:
    """Add a key to the user's known hosts as ssh would; returns the file.

    Raises ShellenvError if the configuration keeps no known hosts, or if the file cannot be
    written.
    """
    file = _kept(settings, name)
    line = _hashed(client, key.line) if settings.get("hashknownhosts") == "yes" else key.line
    try:
        os.makedirs(os.path.dirname(file), mode=0o700, exist_ok=True)
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        with open(os.open(file, flags, 0o600), "r+b") as stream:
            size = stream.seek(0, os.SEEK_END)
            whole = not size or (stream.seek(size - 1), stream.read(1))[1] == b"\n"
            stream.write(os.fsencode(f"{'' if whole else chr(10)}{line}\n"))
    except OSError as error:
        raise ShellenvError(
            f"cannot write {file}: {error.strerror}", "the key was not accepted"
        ) from error
    return file


def _kept(settings: Mapping[str, str], name: str) -> str:
    """The file to which ssh adds host keys. Raises ShellenvError if it keeps none."""
    file = known_hosts(settings)
    if file is None:
        raise ShellenvError(
            f"your ssh configuration forgets the host keys of {name}, so none can be verified",
            f"take UserKnownHostsFile {settings.get('userknownhostsfile', '')} out of it",
        )
    return file


def _hashed(client: Client, line: str) -> str:
    import tempfile

    with tempfile.TemporaryDirectory(prefix="shellenv-") as directory:
        file = f"{directory}/known"
        with open(file, "w", encoding="utf-8", errors="surrogateescape") as stream:
            stream.write(f"{line}\n")
        _keygen(client, "-H", "-f", file)
        with open(file, encoding="utf-8", errors="surrogateescape") as stream:
            return stream.readline().rstrip("\n")


def _keygen(client: Client, *args: str) -> str:
    done = client.running.run(client.ctx, [program(client.ctx, "ssh-keygen"), *args], 10)
    if done.status != 0:
        import shlex

        ran = shlex.join(["ssh-keygen", *args])
        raise ShellenvError(f"ssh-keygen failed: {last_line(done.stderr)}", f"what was run: {ran}")
    return done.stdout


def known_hosts(settings: Mapping[str, str]) -> str | None:
    """The file to which ssh adds host keys; None if it is one that keeps nothing."""
    # `ssh -G` prints paths without quotes, all absolute or from `~`
    first = re.split(r" (?=[/~])", settings.get("userknownhostsfile", ""))[0]
    if first in ("", "none", "/dev/null"):
        return None
    return f"{home()}{first[1:]}" if first.startswith("~/") else first
