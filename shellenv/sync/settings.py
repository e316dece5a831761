"""What configuration says about a project's sync: `[shellenv.sync]`, and ignore files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

from shellenv import config, paths
from shellenv.config import Config
from shellenv.context import Context
from shellenv.errors import ShellenvError
from shellenv.project import Project, refuse_home, refuse_shared
from shellenv.sync import ignore
from shellenv.sync.ignore import Rule, Rules

SECTION = "shellenv.sync"
DOCKERIGNORE = ".dockerignore"


class Settings(NamedTuple):
    """What is synced, and where to. `name` is the last part of the directory at the dock; `quiet`:
    is only to be said what needs the user?"""

    root: str
    name: str
    remote_root: str
    rules: Rules
    quiet: bool = False


def settings(ctx: Context, found: Config, project: Project) -> Settings:
    """The settings of a project's sync.

    Raises ShellenvError for a home directory or /tmp in the place of a project, for a name that is
    no directory's, and for an ignore file that cannot be used.
    """
    root = os.path.realpath(project.root)
    refuse_home(ctx, project.root)
    refuse_shared(ctx, project)
    name = _value(found, "name") or os.path.basename(root)
    if "/" in name or name.startswith(".") or not name:
        raise ShellenvError(
            f"{name!r} cannot be a directory's name at the dock",
            "[shellenv.sync] name takes one without / and without a dot in front",
        )
    git = found.flag(SECTION, "git")
    rules = Rules(tuple(_rules(ctx, found, root)), git)
    remote_root = _value(found, "remote_root").rstrip("/") or "/"
    return Settings(root, name, remote_root, rules, found.flag("shellenv", "quiet"))


def _value(found: Config, key: str) -> str:
    entry = found.get(SECTION, key)
    return entry.value.strip() if entry else ""


def _rules(ctx: Context, found: Config, root: str) -> Iterator[Rule]:
    """All rules, from the weakest to the strongest."""
    for pattern in ignore.DEFAULTS:
        yield Rule(pattern, ignore.BUILT_IN)
    chosen = found.get(SECTION, "ignore_file")
    name = chosen.value.strip() if chosen else DOCKERIGNORE
    if name != "none":
        path = paths.resolve(ctx, name, root) or name
        content = config.read_bytes(path)
        if content is not None:
            text = config.decode(path, content)
            parse = ignore.parse_git if os.path.basename(path) == ".gitignore" else ignore.parse
            yield from parse(text, paths.tilde(ctx, path))
        elif chosen and chosen.origin.file != config.DEFAULT:
            raise ShellenvError(
                f"{chosen.origin}: there is no {name}", "make it, or write `ignore_file = none`"
            )
    for key, back in (("exclude", False), ("include", True)):
        entry = found.get(SECTION, key)
        for pattern in config.split_paths(entry.value) if entry else ():
            rule = ignore.cleaned(pattern, entry.origin) if entry else None
            if rule is not None:
                yield rule._replace(back=back != rule.back)
