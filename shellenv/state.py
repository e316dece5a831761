"""The undo log that a shell exports as $__SHELLENV_UNDO, as the core reads it.

Shells write it (`__shellenv_publish` in shell/hook.*) so that whoever inherits their environment
can undo it. It is a list of words with a unit separator (0x1f) behind each: `#`, the version, KEY,
ROOT, and then four words a record, oldest first: KIND NAME OLD NEW. A separator inside a word,
and %, is percent-encoded.

A state is `-` (unset) or `=value`; kind `v` is a variable, `e` one that belongs to a virtual
environment, `p` a PATH. Other kinds (aliases, hooks, the prompt) and other states (a variable that
was not exported) concern only the shell that wrote them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

NAME = "__SHELLENV_UNDO"
DOCK = "__SHELLENV_DOCK_UNDO"
"""The same of the dock layer, which lies on top of the project's: KEY is the moniker and ROOT the
directory of the connection; the old states are those that the project has set, if it has."""

MISLEADING = ("DOCKER_CONTEXT", "DOCKER_TLS", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH")
"""What beside DOCKER_HOST would send docker's clients elsewhere, or make them expect TLS of a unix
socket."""

DOCKED = ("DOCKER_HOST", "DOCKER_IP", "SHELLENV_DOCK", *MISLEADING)
"""The variables that the dock layer holds: those that it sets, and those that it clears."""

VERSION = "1"
SEPARATOR = "\x1f"
SLICE = 30_000
"""How much of it one variable holds (characters): at most 128 KiB (bytes) can stand in one string
of the environment (MAX_ARG_STRLEN of execve(2) on Linux)."""


class Record(NamedTuple):
    """One change that a shell has made."""

    kind: str
    name: str
    old: str | None
    new: str | None


class Log(NamedTuple):
    """All changes that are in force, oldest first."""

    key: str
    root: str
    records: tuple[Record, ...]


EMPTY = Log("", "", ())


def encode(word: str) -> str:
    """`word` as it stands in the log."""
    return word.replace("%", "%25").replace(SEPARATOR, "%1F")


def decode(word: str) -> str:
    """The reverse of `encode`."""
    return word.replace("%1F", SEPARATOR).replace("%25", "%")


def is_part(name: str) -> bool:
    """Is `name` one of the variables that hold the log?"""
    return name == NAME or (name.startswith(NAME + "_") and name[len(NAME) + 1 :].isdigit())


def record_of(log: Log, name: str) -> Record | None:
    """What `log` says of the variable `name`."""
    return next((record for record in log.records if record.name == name), None)


def with_old(log: Log, name: str, old: str | None) -> Log:
    """`log` with another value beneath the variable `name`."""
    records = (r._replace(old=old) if r.name == name else r for r in log.records)
    return log._replace(records=tuple(records))


def write(log: Log, variable: str = NAME) -> dict[str, str]:
    """The variables that hold `log`, the first called `variable`; `read` gives it back."""
    words = ["#", VERSION, log.key, log.root]
    for kind, name, old, new in log.records:
        words += [kind, name, *("-" if value is None else f"={value}" for value in (old, new))]
    text = "".join(encode(word) + SEPARATOR for word in words)
    parts = [text[start : start + SLICE] for start in range(0, len(text), SLICE)]
    return {f"{variable}_{n}" if n else variable: part for n, part in enumerate(parts)}


def read(env: Mapping[str, str]) -> Log:
    """The log in `env`; an empty one if there is none, or one of another version."""
    text = env.get(NAME, "")
    part = 1
    while f"{NAME}_{part}" in env:
        text += env[f"{NAME}_{part}"]
        part += 1
    return _parse(text)


def read_dock(env: Mapping[str, str]) -> Log:
    """The log of the dock layer in `env`, as `read` does."""
    return _parse(env.get(DOCK, ""))


def _parse(text: str) -> Log:
    words = [decode(word) for word in text.split(SEPARATOR)[:-1]]  # one behind each
    if len(words) < 4 or words[1] != VERSION:
        return EMPTY
    records = []
    for start in range(4, len(words) - 3, 4):
        kind, name, old, new = words[start : start + 4]
        if kind in ("v", "e", "p"):
            records.append(Record(kind, name, _state(old), _state(new)))
    return Log(words[2], words[3], tuple(records))


def _state(word: str) -> str | None:
    return word[1:] if word.startswith("=") else None


def revert(env: Mapping[str, str]) -> dict[str, str]:
    """`env` as it would be had the shell never entered a project, without the log itself.

    A three-way merge, as the shells do it: what no longer has our value was changed by hand and
    stays.
    """
    result = {name: value for name, value in env.items() if not is_part(name)}
    dock = read_dock(env)
    for record in reversed(read(env).records):
        current = result.get(record.name)
        covered = record_of(dock, record.name) if record.kind != "p" else None
        if record.kind == "p" and current is not None:
            result[record.name] = unpath(current, record.old or "", record.new or "")
        elif covered is not None and (covered.old, covered.new) == (record.new, current):
            dock = with_old(dock, record.name, record.old)
            result.update(write(dock, DOCK))
        elif record.kind != "p" and current == record.new:
            _put(result, record.name, record.old)
    return result


def _put(env: dict[str, str], name: str, value: str | None) -> None:
    if value is None:
        env.pop(name, None)
    else:
        env[name] = value


def unpath(current: str, old: str, new: str) -> str:
    """`current`, a PATH that was `old`, became `new` by us and may be edited, without our entries.

    The entries that the user put in front, behind or between stay, in their order, and so does one
    of ours that the user had, too.
    """
    if current == new:
        return old
    text, before, ours = f":{current}:", f":{old}:", f":{new}:"
    front = new[: len(new) - len(old)] if new.endswith(old) else new
    if ours in text:
        text = text.replace(ours, before, 1)
    elif front and ":" + front in text:
        text = text.replace(":" + front, ":", 1)
    else:
        for entry in front.removesuffix(":").split(":") if front else ():
            entry = f":{entry}:"
            if entry in text and (entry not in before or _twice(text, entry)):
                text = text.replace(entry, ":", 1)
    return text[1:-1] if len(text) > 1 else ""


def _twice(text: str, entry: str) -> bool:
    return entry[1:] in text.split(entry, 1)[1] if entry in text else False
