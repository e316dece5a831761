"""What the shell should have: a value, computed from what was surveyed and from nothing else.

Nothing here reads a file, the environment or the clock. `make` turns groups of settings, from the
outermost to the innermost, into a `Plan`; `shellenv.render` turns that into the code of a shell.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from shellenv.byheart import Script
from shellenv.config import Entry, Origin, is_yes, split_paths

SECRET = "credstash:"
"""A value that starts with this names a secret: it is fetched when a command runs, never here."""

NOWHERE = Origin("", 0)
"""Where what is shellenv's own is set."""


class Ref(NamedTuple):
    """A reference to a variable, expanded by the shell on entering; `default` if it is unset."""

    name: str
    default: str = ""


Value = tuple[str | Ref, ...]
"""Literal text and references, in order."""


class Variable(NamedTuple):
    """An environment variable, and the line that sets it."""

    name: str
    value: Value
    origin: Origin


class Alias(NamedTuple):
    """An alias, in the words of whatever shell it is used in."""

    name: str
    value: str
    origin: Origin


class Directory(NamedTuple):
    """A directory that goes in front of PATH."""

    path: str
    origin: Origin


class Hook(NamedTuple):
    """Code to run on entering and on leaving, and the lines that say so. The same `id` means: still
    the same."""

    id: str
    enter: str
    leave: str
    enter_origin: Origin = NOWHERE
    leave_origin: Origin = NOWHERE


class Group(NamedTuple):
    """The settings of one directory (`root`), or of the machine and the user (`root` is None)."""

    root: str | None
    sections: Mapping[str, Mapping[str, Entry]]
    dotenv: tuple[Variable, ...] = ()


class Venv(NamedTuple):
    """A virtual environment; what its activate script does, if that is known by heart, or else what
    it touches beyond the usual."""

    path: str
    words: tuple[str, ...] = ()
    script: Script | None = None


class Plan(NamedTuple):
    """The state that the shell should be in inside one project.

    `key` is the directory that the shell's walk finds, `root` the project's own. `secrets` are the
    variables that no shell gets, but commands do.
    """

    key: str
    root: str
    name: str
    venv: Venv | None = None
    path: tuple[Directory, ...] = ()
    variables: tuple[Variable, ...] = ()
    secrets: tuple[Variable, ...] = ()
    aliases: tuple[Alias, ...] = ()
    hooks: tuple[Hook, ...] = ()
    marker: str = ""
    notices: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """Would applying this change nothing?"""
        return not (
            self.venv or self.path or self.variables or self.secrets or self.aliases or self.hooks
        )


def make(
    key: str,
    root: str,
    name: str,
    venv: Venv | None,
    groups: Iterable[Group],
    notices: tuple[str, ...],
) -> Plan:
    """The plan for the project at `root`; later groups win, name by name.

    What is a list (PATH, hooks, files of variables) adds up instead: an inner project's entries
    stand in front of the outer's.
    """
    chosen = list(groups)
    variables = _variables(chosen)
    secret = _secret_names(variables)
    prompt = _last(chosen, "shellenv", "prompt")
    path = _path(chosen, root)
    split = [place for place in (venv, *path) if place and ":" in place.path]
    plan = Plan(
        key=key,
        root=root,
        name=name,
        venv=None if venv in split else venv,
        path=tuple(directory for directory in path if directory not in split),
        variables=tuple(v for v in variables if v.name not in secret),
        secrets=tuple(v for v in variables if v.name in secret),
        aliases=_aliases(chosen),
        hooks=_hooks(chosen, root),
        notices=(*notices, *(_colon(place.path) for place in split)),
    )
    if plan.empty:
        return plan
    own = tuple(
        Variable(variable, (value,), NOWHERE)
        for variable, value in (("SHELLENV_PROJECT", name), ("SHELLENV_ROOT", root))
    )
    shown = prompt is None or is_yes(prompt.value)
    return plan._replace(variables=own + plan.variables, marker=marker(name) if shown else "")


def _colon(path: str) -> str:
    """PATH has no escape: what has a colon in its name would be two other directories there."""
    from shellenv.cli import printable

    return printable(f"{path} is not used: PATH cannot hold a name with a colon (rename it)")


def is_secret(variable: Variable) -> bool:
    """Is its value to be fetched from a store of secrets?"""
    first = variable.value[0] if variable.value else ""
    return isinstance(first, str) and first.startswith(SECRET)


def _secret_names(variables: Iterable[Variable]) -> set[str]:
    """The secrets, and what is made of one that stands above it."""
    names: set[str] = set()
    for variable in variables:
        used = {part.name for part in variable.value if isinstance(part, Ref)}
        if is_secret(variable) or used & names:
            names.add(variable.name)
    return names


REFERENCE = re.compile(r"\$(?:(\$)|([A-Za-z_]\w*)|\{([A-Za-z_]\w*)\})", re.ASCII)


def parse_value(text: str) -> Value:
    """`text` with its `$NAME` and `${NAME}`; `$$` is a dollar sign, and so is any other `$`."""
    parts: list[str | Ref] = []
    position = 0
    for match in REFERENCE.finditer(text):
        parts.append(text[position : match.start()] + ("$" if match[1] else ""))
        if not match[1]:
            parts.append(Ref(match[2] or match[3]))
        position = match.end()
    parts.append(text[position:])
    return join(parts)


def join(parts: Iterable[str | Ref]) -> Value:
    """`parts` with neighbouring literals joined and empty ones left out."""
    joined: list[str | Ref] = []
    for part in parts:
        if isinstance(part, str) and joined and isinstance(joined[-1], str):
            joined[-1] += part
        elif part != "":
            joined.append(part)
    return tuple(joined)


def expand(value: Value, env: Mapping[str, str]) -> str:
    """What `value` is in `env`, as a shell would expand it."""
    return "".join(
        part if isinstance(part, str) else env.get(part.name, part.default) for part in value
    )


# A prompt is a little language: bash and zsh expand \, $, `, ! and %, fish none of them.
UNSAFE_IN_PROMPT = re.compile(r"[\\$`!%\x00-\x1f\x7f\ud800-\udfff]")


def marker(name: str) -> str:
    """The prompt marker for a project called `name`: nothing in it means anything to a shell."""
    return f"({UNSAFE_IN_PROMPT.sub('_', name)}) "


def _variables(groups: list[Group]) -> list[Variable]:
    found: dict[str, Variable] = {}
    for group in groups:
        for variable in group.dotenv:
            found[variable.name] = variable
        for name, entry in group.sections.get("shellenv.env", {}).items():
            found[name] = Variable(name, parse_value(entry.value), entry.origin)
    return list(found.values())


def _aliases(groups: list[Group]) -> tuple[Alias, ...]:
    found = {}
    for group in groups:
        for name, entry in group.sections.get("shellenv.aliases", {}).items():
            found[name] = Alias(name, entry.value, entry.origin)
    return tuple(found.values())


def _path(groups: list[Group], root: str) -> tuple[Directory, ...]:
    found: dict[str, Directory] = {}
    for group in reversed(groups):
        entry = group.sections.get("shellenv.path", {}).get("prepend")
        if entry is None:
            continue
        for item in split_paths(entry.value):
            path = absolute(item, group.root or root)
            found.setdefault(path, Directory(path, entry.origin))
    return tuple(found.values())


def absolute(path: str, root: str) -> str:
    """`path`, where it is relative to `root`, as an absolute one without `.` at its ends."""
    if path.startswith("/"):
        return path
    while path.startswith("./"):
        path = path[2:].lstrip("/")
    return root if path in ("", ".") else f"{root}/{path.rstrip('/')}"


def _hooks(groups: list[Group], root: str) -> tuple[Hook, ...]:
    found = []
    for group in groups:
        hooks = group.sections.get("shellenv.hooks", {})
        enter, leave = (hooks[key].value if key in hooks else "" for key in ("enter", "leave"))
        if enter or leave:
            # The user's own hooks are each project's; a project's stay while one is in it.
            whose = group.root or f"own {root}"
            origins = (hooks[key].origin if key in hooks else NOWHERE for key in ("enter", "leave"))
            found.append(Hook(f"{whose} {_digest(enter, leave)}", enter, leave, *origins))
    return tuple(found)


def _digest(*texts: str) -> str:
    from zlib import crc32

    return f"#{crc32(chr(0).join(texts).encode('utf-8', 'surrogateescape')):08x}"


def _last(groups: list[Group], section: str, key: str) -> Entry | None:
    entries = [
        group.sections[section][key] for group in groups if key in group.sections.get(section, {})
    ]
    return entries[-1] if entries else None
