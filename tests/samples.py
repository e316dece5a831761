"""Projects that several tests enter."""

from __future__ import annotations

from pathlib import Path

from harness import Home

ODD = r"""it's "odd": $HOME `x` \n \\ * ? [a] {b} ~ ! # % & é"""

RICH = f"""
[shellenv.env]
PLAIN = one
EMPTY =
SPACED = two  words
ODD = {ODD.replace("$", "$$")}
DASH = -n
REFERS = $PLAIN:${{NOT_THERE}}:$LOGNAME
SHADOWS_EXPORTED = ours
SHADOWS_EMPTY = ours
SHADOWS_PRIVATE = ours
[shellenv.path]
prepend = bin:more tools
[shellenv.aliases]
greet = echo hello
shadowed = echo ours
[shellenv.hooks]
enter = echo entering
leave = echo leaving
"""

VARIABLES = {
    "PLAIN": "one",
    "EMPTY": "",
    "SPACED": "two  words",
    "ODD": ODD,
    "DASH": "-n",
    "REFERS": "one::tester",
    "SHADOWS_EXPORTED": "ours",
    "SHADOWS_EMPTY": "ours",
    "SHADOWS_PRIVATE": "ours",
}


def rich(home: Home, name: str = "rich") -> Path:
    """`~/projects/<name>` with something of everything: its own venv, variables, PATH, …"""
    return home.project(name, RICH, venv=True)


def variables(**values: str) -> str:
    """A configuration that sets these variables."""
    lines = (f"{name} = {value.replace('$', '$$')}\n" for name, value in values.items())
    return "[shellenv.env]\n" + "".join(lines)
