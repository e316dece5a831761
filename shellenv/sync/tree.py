"""A scan of this side: every path that is synced, as records (see `entry`)."""

from __future__ import annotations

import os
import stat
import sys
from typing import NamedTuple

from shellenv.errors import ShellenvError
from shellenv.sync import entry
from shellenv.sync.ignore import Rules


class Tree(NamedTuple):
    """What one side has: its records, in no order, and when that was (ns, on its own clock)."""

    records: list[bytes]
    time: int


def scan(root: bytes, rules: Rules, path: str = os.defpath) -> Tree:
    """Look at everything below `root`; the rules say only where there is no need to look, and
    `path` where programs are, as in PATH.

    Raises ShellenvError where the system cannot say what is there (an input/output error): what is
    not seen must not count as deleted.
    """
    import time

    now = time.time_ns()
    try:
        os.close(os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
    except OSError as error:
        raise _unreadable(root, error.strerror) from None
    records = _found(root, rules, path) if sys.platform == "linux" else None
    return Tree(walk(root, rules) if records is None else records, now)


def _found(root: bytes, rules: Rules, path: str) -> list[bytes] | None:
    """The records by GNU find, which is several times faster; None if there is none."""
    from shellenv.processes import subprocess

    said = b""
    for _ in range(3):  # a directory may go while find looks into it
        try:
            done = subprocess.run(
                ["find", ".", "-mindepth", "1", *entry.find(rules.pruned)],
                cwd=root,
                env={"PATH": path, "LC_ALL": "C"},
                capture_output=True,
                check=False,
            )
        except OSError:
            return None
        if done.returncode == 0:
            return done.stdout.split(b"\0")[:-1]
        said = done.stderr.strip().rpartition(b"\n")[2]
        if any(word in said for word in (b"-printf", b"-readable", b"-regextype")):
            return None  # busybox
    raise _unreadable(root, os.fsdecode(said))


def walk(root: bytes, rules: Rules) -> list[bytes]:
    """The records by ourselves."""
    records: list[bytes] = []
    append, numbers = records.append, rules.number
    stack = [(root, b"", -1)]
    while stack:
        directory, prefix, above = stack.pop()
        try:
            entries = os.scandir(directory)
        except PermissionError:
            append(b"x 0 0 0 0 0 %b//" % prefix[:-1])
            continue
        except (FileNotFoundError, NotADirectoryError):
            continue  # it has just gone
        except OSError as error:
            raise _unreadable(directory, error.strerror) from error
        if prefix and not rules.leaves_out(above):
            mode = _mode(directory)
            if mode is None:
                entries.close()
                continue
            append(b"d %o 0 0 0 0 %b//" % (mode, prefix[:-1]))
        try:
            with entries:
                for one in entries:
                    path = prefix + one.name
                    is_directory = one.is_dir(follow_symlinks=False)
                    number = numbers(path, above, is_directory)
                    if rules.rule(path, is_directory) is not None:
                        append(b"p 0 0 0 0 0 %b//" % path)
                        if is_directory and rules.may_return(path):
                            stack.append((one.path, path + b"/", number))
                    elif is_directory:
                        stack.append((one.path, path + b"/", number))
                    elif (found := look(root, path)) is not None:
                        append(found)
        except OSError as error:
            raise _unreadable(directory, error.strerror) from error
    return records


def _mode(directory: bytes) -> int | None:
    try:
        return os.lstat(directory).st_mode & 0o777
    except OSError:
        return None


def record(path: bytes, status: os.stat_result, target: bytes = b"") -> bytes:
    """The record of one path, from its lstat."""
    mode = status.st_mode
    if stat.S_ISREG(mode):
        return b"f %o %d %d %d %d %b//" % (
            mode & 0o777,
            status.st_size,
            status.st_mtime_ns,
            status.st_ctime_ns,
            status.st_ino,
            path,
        )
    if stat.S_ISLNK(mode):
        return b"l 777 0 0 0 0 %b//%b" % (path, target)
    if stat.S_ISDIR(mode):
        return b"d %o 0 0 0 0 %b//" % (mode & 0o777, path)
    return b"s 0 0 0 0 0 %b//" % path


def look(root: bytes, path: bytes) -> bytes | None:
    """The record of `path` as it is now; None if there is nothing."""
    full = root + b"/" + path
    try:
        status = os.lstat(full)
        target = os.readlink(full) if stat.S_ISLNK(status.st_mode) else b""
    except OSError:
        return None
    return record(path, status, target)


def _unreadable(directory: bytes, why: str | None) -> ShellenvError:
    return ShellenvError(
        f"cannot read {os.fsdecode(directory)}: {why}", "nothing was synced; check the directory"
    )
