"""Which project a directory belongs to, and which virtual environment is its own.

Nothing here reads configuration: what depends on it comes in as parameters.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import NamedTuple

from shellenv import files, paths
from shellenv.context import Context
from shellenv.errors import ShellenvError

MARKERS = (
    ".git",
    "pyproject.toml",
    "setup.py",
    "requirements.txt",
    "Pipfile",
    "environment.yml",
    ".devcontainer",
    "docker",
)
"""What makes a directory a project for `run-*` if nothing of shellenv's is there."""

SYSTEM = (
    *("/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib64", "/proc", "/run", "/sbin"),
    *("/sys", "/usr", "/var", "/Applications", "/Library", "/System", "/Users"),
)
"""Directories that belong to nobody's project."""

HERE = "the current directory"
"""The rule by which a directory is a project that nothing else says is one."""


def _always(*_: str) -> bool:
    return True


class Project(NamedTuple):
    """A project and why it is one.

    `rule` and `venv_rule` are sentences for `status`. `directories` are those whose settings
    count, outermost first: `root`, directories above it and, where the virtual environment
    belongs to an outer directory, directories below it.
    """

    root: str
    name: str
    rule: str
    venv: str | None
    venv_rule: str
    directories: tuple[str, ...]


class Detection(NamedTuple):
    """What the walk found.

    `candidate` is the directory at which the shell's own walk stops, None if it finds nothing.
    `consulted` are all paths whose existence or content was looked at from there outward, in
    order and each once: while none of them changes, the answer for every directory between the
    candidate and where one stands stays the same. `present` are those that existed.
    `passed_over` are sentences on virtual environments that were found and not taken.
    """

    candidate: str | None
    project: Project | None
    consulted: tuple[str, ...]
    present: frozenset[str]
    passed_over: tuple[str, ...]


def ancestors(ctx: Context) -> Iterator[str]:
    """The directories that can be projects: the current one and those above it, by name, stopping
    below the home directory and `/`."""
    directory = ctx.cwd
    while directory.rpartition("/")[2] and directory != ctx.home:
        yield directory
        directory = directory.rpartition("/")[0]


def candidate(ctx: Context, venv_dir: str | None) -> str | None:
    """The innermost directory that has anything of interest, exactly as the hook finds it.

    By existence only (symbolic links are followed), without opening a file. `venv_dir` is an
    absolute path, None where there is no home.
    """
    return next(
        (d for d in ancestors(ctx) if any(map(os.path.exists, _signs(ctx, venv_dir, d)))), None
    )


def detect(
    ctx: Context,
    venv_dir: str | None,
    venv_allowed: Callable[[str], bool],
    for_run: bool = False,
    *,
    personal_counts: Callable[[str, str], bool] = _always,
    inherits: Callable[[str], bool] = _always,
) -> Detection:
    """Find the project of the current directory.

    The virtual environment is that of the innermost directory D with `<venv_dir>/<name of D>`
    (whose `.project` file, if it has one, must name D) or, if `venv_allowed(D/.venv)`, its own
    `.venv`. The root is that D; else the innermost directory with configuration; else, with
    `for_run`, the innermost with a marker; else, with `for_run`, the current directory.

    `personal_counts(file, D)` says whether a personal file is for D, `inherits(D)` whether D's
    configuration lets settings from further out in. Never raises for what is on disk.
    """
    look = _Look()
    first = candidate(ctx, venv_dir)
    chain: list[str] = []
    found: _Venv | None = None
    outward = iter(()) if first is None else ancestors(ctx._replace(cwd=first))
    for directory in outward:
        if ctx.home is not None and _same_directory(directory, ctx.home):
            break  # the home directory by another name
        configured = _configured(ctx, directory, look, personal_counts)
        if found is None:
            found = _venv_of(directory, venv_dir, venv_allowed, look)
            if found is not None and not configured:
                chain.append(directory)
        if configured:
            chain.append(directory)
            if not inherits(directory):
                break
    directories = tuple(reversed(chain))
    consulted = tuple(look.seen)

    def project(root: str, rule: str, directories: tuple[str, ...] = directories) -> Project:
        venv, venv_rule = (found.path, found.rule) if found else (None, "no virtual environment")
        name = os.path.basename(root) or root
        return Project(root, name, rule, venv, venv_rule, directories)

    result: Project | None = None
    if found is not None:
        result = project(found.directory, "the innermost directory with a virtual environment")
    elif chain:
        result = project(chain[0], "the innermost directory with configuration")
    elif for_run:
        marked = ((d, _marker(d)) for d in ancestors(ctx))
        root, marker = next(((d, m) for d, m in marked if m), (ctx.cwd, ""))
        rule = f"the innermost directory with {marker}" if marker else HERE
        result = project(root, rule, (root,))
    present = frozenset(path for path, exists in look.seen.items() if exists)
    return Detection(first, result, consulted, present, tuple(look.passed_over))


# --- what is looked at -------------------------------------------------------------------------


class _Look:
    """Looks at paths and remembers which, and whether they were there."""

    def __init__(self) -> None:
        self.seen: dict[str, bool] = {}
        self.passed_over: list[str] = []

    def exists(self, path: str) -> bool:
        if path not in self.seen:
            self.seen[path] = os.path.exists(path)
        return self.seen[path]


class _Venv(NamedTuple):
    directory: str
    path: str
    rule: str


def _signs(ctx: Context, venv_dir: str | None, directory: str) -> Iterator[str]:
    """The paths of which one must exist for a directory to be of interest."""
    name = directory.rpartition("/")[2]
    if venv_dir is not None:
        yield f"{venv_dir}/{name}"
    yield f"{directory}/.venv"
    for file in paths.PROJECT_FILES:
        yield f"{directory}/{file}"
    personal = paths.personal_file(ctx, name)
    if personal is not None:
        yield personal


def _configured(
    ctx: Context, directory: str, look: _Look, personal_counts: Callable[[str, str], bool]
) -> bool:
    """True if the directory has configuration of its own or a personal file."""
    # No short cut: each of the files is to be watched.
    files = [look.exists(f"{directory}/{file}") for file in paths.PROJECT_FILES]
    personal = paths.personal_file(ctx, directory.rpartition("/")[2])
    if personal is not None and look.exists(personal) and personal_counts(personal, directory):
        return True
    return any(files)


def _venv_of(
    directory: str, venv_dir: str | None, venv_allowed: Callable[[str], bool], look: _Look
) -> _Venv | None:
    """The directory's virtual environment: the named one first, then its own `.venv`."""
    inside = venv_dir is not None and f"{directory}/".startswith(f"{venv_dir}/")
    if venv_dir is not None and not inside:  # ~/.venv/foo is no project called foo
        named = f"{venv_dir}/{directory.rpartition('/')[2]}"
        if look.exists(f"{named}/bin/activate"):
            note = f"{named}/.project"
            if not look.exists(note):
                return _Venv(directory, named, f"{named} is named after the directory")
            if _names(note, directory):
                return _Venv(directory, named, f"{note} names the directory")
            look.passed_over.append(f"{named} is for another directory, as {note} says")
    own = f"{directory}/.venv"
    if look.exists(f"{own}/bin/activate"):
        if venv_allowed(own):
            return _Venv(directory, own, f"{own} is the directory's own and is allowed")
        look.passed_over.append(f"{own} is not allowed yet")
    return None


def _names(note: str, directory: str) -> bool:
    """True if a `.project` file names this directory, as written or after symbolic links."""
    try:
        line = os.fsdecode(files.read_regular(note))
    except OSError:
        return False
    written = line.removesuffix("\n").removesuffix("\r")
    if not written.startswith("/") or "\0" in written:
        return False
    return written.rstrip("/") == directory or os.path.realpath(written) == os.path.realpath(
        directory
    )


def refuse_home(ctx: Context, root: str) -> None:
    """Raise ShellenvError if `root` is the home directory or `/`, too much to be a project, or a
    directory of the system's."""
    real = os.path.realpath(root)
    if real in SYSTEM or (ctx.home and real == os.path.realpath(ctx.home)):
        raise ShellenvError(f"{paths.tilde(ctx, root)} is no project", "cd into the project first")


def refuse_shared(ctx: Context, project: Project) -> None:
    """Raise ShellenvError for a directory like /tmp: one that only being in it makes a project, and
    that others have something in, or could."""
    from shellenv.trust import writable_by_others

    try:
        own = os.stat(project.root).st_uid == ctx.uid and not writable_by_others(project.root)
    except OSError:
        own = False
    if project.rule == HERE and not own:
        raise ShellenvError(
            f"{paths.tilde(ctx, project.root)} is no project, and not yours alone",
            "cd into the project first",
        )


def _marker(directory: str) -> str:
    """The first project marker that the directory has; "" if it has none."""
    return next((m for m in MARKERS if os.path.exists(f"{directory}/{m}")), "")


def _same_directory(one: str, other: str) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False
