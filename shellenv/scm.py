"""A version for projects that take theirs from git, where an install cannot ask git.

Images have no git as a rule, and `.git` does not go to docks. setuptools-scm and its like then give
up, but take a version from a variable: the one that they would find here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from shellenv.dependencies import PROJECT, Dependencies


class Tool(NamedTuple):
    """What takes versions from git: how a project's files name it, and its variable. A `named`
    variable is for one package, so that it does not count for those that are built on the way."""

    mention: str
    variable: str
    named: bool = False


TOOLS = (
    Tool(r"hatch[-_]vcs", "SETUPTOOLS_SCM_PRETEND_VERSION"),
    # An old one does not know the names of variables for names with a hyphen
    Tool(r"setuptools[-_]scm[^\"'\n]*<=?\s*[1-8]\b", "SETUPTOOLS_SCM_PRETEND_VERSION"),
    Tool(r"setuptools[-_]scm", "SETUPTOOLS_SCM_PRETEND_VERSION_FOR_{}", named=True),
    Tool(r"source\s*=\s*[\"']scm[\"']", "PDM_BUILD_SCM_VERSION"),
    Tool(r"\bpbr\b", "PBR_VERSION"),
)
"""The first one that is mentioned counts."""


def variables(root: str, needed: Dependencies, env: Mapping[str, str]) -> dict[str, str]:
    """What to set while the project in the directory `root` is installed; empty for projects that
    know their version, and where git does not know it."""
    text = "\n".join(
        content.decode("utf-8", "replace") for path, content in needed.contents if path in PROJECT
    )
    tool = next((tool for tool in TOOLS if re.search(tool.mention, text)), None)
    if tool is None or not needed.installable:
        return {}
    name = _name(text) if tool.named else ""
    found = version(_described(root, env)) if name or not tool.named else ""
    key = re.sub(r"[-_.]+", "_", name).upper()
    return {tool.variable.format(key): found} if found else {}


def _name(text: str) -> str:
    """The package's name in pyproject.toml, setup.cfg or setup.py; "" if it is not clear."""
    for pattern in (
        r"^\[(?:project|metadata)\]\s*$(?:\n(?!\[).*)*?\nname\s*=\s*[\"']?([\w.-]+)",
        r"(?:^|[(,])\s*name\s*=\s*[\"']([\w.-]+)[\"']\s*[,)]",
    ):
        if match := re.search(pattern, text, re.M):
            return match[1]
    return ""


def version(described: str) -> str:
    """The version for what `git describe --long --always` says, by the rules of setuptools-scm:
    that of the tag, or the one after it with the number of commits since. "" for what is none."""
    if re.fullmatch("[0-9a-f]+", described):  # no tag
        return f"0.1.dev0+g{described}"
    match = re.fullmatch(r"(?:.*?[-_/])?v?(\d[\w.+!]*)-(\d+)-g([0-9a-f]+)", described)
    if match is None:
        return ""
    tag, distance, commit = match.groups()
    if distance == "0":
        return tag
    following = re.sub(r"\d+(?=\D*$)", lambda last: str(int(last[0]) + 1), tag.partition("+")[0])
    return f"{following}.dev{distance}+g{commit}"


def _described(root: str, env: Mapping[str, str]) -> str:
    from shellenv.processes import subprocess

    words = ["git", "-C", root, "describe", "--tags", "--long", "--always", "--match", "*[0-9]*"]
    try:
        done = subprocess.run(
            words,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:  # there is no git
        return ""
    return done.stdout.strip()
