"""Approval by content: a project's files have no effect until the user has allowed them.

A record is a file named after a hash of the path and the content that were approved, so an edit
asks again. It lies in the state directory, which only the user can write.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from typing import NamedTuple

from shellenv import files, paths
from shellenv.context import Context
from shellenv.digest import sha256
from shellenv.errors import ShellenvError

ALLOWED = "allowed"
BLOCKED = "blocked"
DENIED = "denied"
UNSAFE = "unsafe"

ACTIVATE_SCRIPTS = ("bin/activate", "bin/activate.fish")
"""What of a project's own `.venv` the shells would run."""


class Subject(NamedTuple):
    """A file as it was read: what is approved is this content at this path."""

    path: str
    content: bytes


def check(ctx: Context, path: str, content: bytes) -> str:
    """Whether a file with this content may take effect.

    `allowed`; `blocked` (never approved, or changed since); `denied` (by the user, whatever its
    content); `unsafe` (any user of the machine may write it). Never raises; without a state
    directory nothing is allowed.
    """
    if _is_own_file(ctx, denial_path(ctx, path)):
        return DENIED
    if writable_by_others(path):
        return UNSAFE
    return ALLOWED if _is_own_file(ctx, record_path(ctx, path, content)) else BLOCKED


def record_path(ctx: Context, path: str, content: bytes) -> str | None:
    """Where the approval of this content at this path is recorded; None without a state
    directory."""
    state = paths.state_dir(ctx)
    return None if state is None else f"{state}/allow/{_digest(os.fsencode(path), content)}"


def denial_path(ctx: Context, path: str) -> str | None:
    """Where the denial of this path is recorded; None without a state directory."""
    state = paths.state_dir(ctx)
    return None if state is None else f"{state}/deny/{_digest(os.fsencode(path))}"


def allow(ctx: Context, subjects: Iterable[Subject]) -> None:
    """Approve files with the content given, and forget that they were denied. All or none.

    Raises ShellenvError for a file that others may write, or if it cannot be recorded.
    """
    approved = tuple(subjects)
    for subject in approved:
        if writable_by_others(subject.path):
            import shlex

            raise ShellenvError(
                f"{subject.path} can be written by every user of this machine",
                f"chmod o-w {shlex.quote(subject.path)}",
            )
    for subject in approved:
        _record(ctx, record_path(ctx, subject.path, subject.content), subject.path)
        _forget(denial_path(ctx, subject.path))


def deny(ctx: Context, denials: Iterable[str]) -> None:
    """Refuse files whatever their content, and forget every approval of theirs.

    Raises ShellenvError if it cannot be recorded.
    """
    denied = tuple(denials)
    for path in denied:
        _record(ctx, denial_path(ctx, path), path)
    state = paths.state_dir(ctx)
    written = {os.fsencode(path) + b"\n" for path in denied}
    for name in _entries(f"{state}/allow"):
        record = f"{state}/allow/{name}"
        subject = read(record)
        if subject is not None and subject.content in written:
            _forget(record)


def writable_by_others(path: str) -> bool:
    """True if every user of the machine may write the file. False if there is none."""
    try:
        return bool(os.stat(path).st_mode & stat.S_IWOTH)
    except OSError:
        return False


def venv_scripts(venv: str) -> tuple[str, ...]:
    """The scripts of a virtual environment that need approval before a shell runs them."""
    scripts = (f"{venv}/{script}" for script in ACTIVATE_SCRIPTS)
    return tuple(script for script in scripts if os.path.exists(script))


def venv_allowed(ctx: Context, venv: str) -> bool:
    """True if all scripts of a project's own virtual environment are allowed as they are."""
    scripts = venv_scripts(venv)
    return bool(scripts) and all(
        subject is not None and check(ctx, *subject) == ALLOWED for subject in map(read, scripts)
    )


def read(path: str) -> Subject | None:
    """A file as it is now; None if it cannot be read, is no regular file or is too large."""
    content = files.content(path)
    if content is None or len(content) > files.MAX_BYTES:
        return None
    return Subject(path, content)


def _digest(path: bytes, content: bytes | None = None) -> str:
    return sha256(path if content is None else path + b"\0" + content)


def _is_own_file(ctx: Context, record: str | None) -> bool:
    """True if the record exists and is the user's: another user's approval is worth nothing."""
    if record is None:
        return False
    try:
        return os.lstat(record).st_uid == ctx.uid
    except OSError:
        return False


def _record(ctx: Context, record: str | None, path: str) -> None:
    """Write a record, which holds the path for people to read. Complete or not at all."""
    state = paths.state_dir(ctx)
    if record is None or state is None:
        raise ShellenvError(
            "there is no home directory to record approvals in", "set HOME or XDG_STATE_HOME"
        )
    paths.private_dir(state, ctx.uid)
    paths.private_dir(os.path.dirname(record), ctx.uid)
    try:
        files.write_private(record, os.fsencode(path) + b"\n")
    except OSError as error:
        raise ShellenvError(
            f"cannot write {record}: {error.strerror}", "check its permissions and the free space"
        ) from error


def _forget(record: str | None) -> None:
    if record is not None:
        try:
            files.forget(record)
        except OSError as error:
            raise ShellenvError(
                f"cannot remove {record}: {error.strerror}", "check its permissions"
            ) from error


def _entries(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []
